"""Contracts and fakes anyone can use: tiny models, a tiny Collection, and the `check_*` functions.

Nothing here needs a download. `tiny_encoder` needs only NumPy; `tiny_model` writes a real two-layer
transformer with random weights and a byte tokenizer, in the layout every loader reads.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import pyarrow.dataset as ds

from annatto.checks import check_encoder, check_index, check_retriever, check_scorer
from annatto.checks_store import check_store
from annatto.core.errors import UsageError, nearest
from annatto.core.reply import read
from annatto.core.tables import CORPUS, JUDGMENTS, QUERIES
from annatto.core.types import Answer, Ask, Collection, Prompt

__all__ = [
    "check_encoder",
    "check_index",
    "check_retriever",
    "check_scorer",
    "check_store",
    "tiny_collection",
    "tiny_encoder",
    "tiny_llm",
    "tiny_milvus",
    "tiny_model",
]

R = TypeVar("R")
DIM = 64
WORD = re.compile(r"\w+")


class TinyEncoder:
    """An Encoder that sums one fixed random vector per word: fast, meaningless, deterministic.

    Texts that share words are similar, and that is all it knows.
    """

    name = "tiny"
    dim = DIM
    weights_id = "tiny-encoder-1"

    def __init__(self) -> None:
        self._words: dict[str, np.ndarray] = {}

    def encode(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> np.ndarray:
        """(n, 64) float32, rows of length 1; the prompt is accepted and changes nothing."""
        if isinstance(prompt, str) and prompt.partition("/")[0] not in ("document", "query"):
            known = nearest(prompt, ["document", "query"])
            raise UsageError(f"no prompt is called {prompt!r}; {known}.")
        vectors = np.zeros((len(texts), DIM), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in WORD.findall(text.lower()) or [""]:
                row += self._vector(word)
        norms: np.ndarray = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / norms)

    def _vector(self, word: str) -> np.ndarray:
        if word not in self._words:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
            self._words[word] = np.random.default_rng(seed).standard_normal(DIM, np.float32)
        return self._words[word]


def tiny_encoder() -> TinyEncoder:
    """An Encoder for tests: 64 dimensions, no torch, no weights."""
    return TinyEncoder()


class TinyLLM:
    """An LLM whose replies are those of a function from prompt to text.

    Attributes:
        name: as judgments call it.
        asked: every question, in order.
    """

    def __init__(self, answer: Callable[[str], str], name: str = "tiny-llm") -> None:
        self.name = name
        self.asked: list[Ask] = []
        self._answer = answer

    def ask(self, prompts: Iterable[Ask], reply: type[R]) -> Iterator[Answer[R]]:
        """Answers in order, read as any LLM's are; 10 tokens each, 2 of them written."""
        for ask in prompts:
            self.asked.append(ask)
            yield Answer(ask.key, read(self._answer(ask.prompt), reply), 10, 2)


def tiny_llm(answer: Callable[[str], str], *, name: str = "tiny-llm") -> TinyLLM:
    """An LLM for tests that replies as told.

    >>> [one.value for one in tiny_llm(str.upper).ask([Ask("a", "yes")], str)]
    ['YES']
    """
    return TinyLLM(answer, name)


def tiny_collection() -> Collection:
    """60 documents of 6 topics and 40 queries with one positive each: 20 train, 8 dev, 12 test.

    Every document holds a word of its own, which its query repeats among words of the topic.
    """
    topics = ["river", "piano", "violin", "copper", "saffron", "glacier"]
    rows = [(f"d{i:02}", topics[i % 6], f"rare{i} {topics[i % 6]} word{i % 7}") for i in range(60)]
    splits = ["train"] * 20 + ["dev"] * 8 + ["test"] * 12
    numbers = range(len(splits))
    return Collection(
        corpus=ds.dataset(
            CORPUS.table(
                {
                    "doc_id": [row[0] for row in rows],
                    "title": [row[1] for row in rows],
                    "text": [row[2] for row in rows],
                }
            )
        ),
        queries=QUERIES.table(
            {
                "query_id": [f"q{i:02}" for i in numbers],
                "text": [f"what about rare{i} and {topics[i % 6]}" for i in numbers],
                "task": ["tiny"] * len(splits),
                "split": splits,
            }
        ),
        judgments=JUDGMENTS.table(
            {
                "query_id": [f"q{i:02}" for i in numbers],
                "doc_id": [f"d{i:02}" for i in numbers],
                "grade": [1.0] * len(splits),
                "origin": ["gold"] * len(splits),
            }
        ),
    )


@contextlib.contextmanager
def tiny_milvus(folder: Path) -> Iterator[str]:
    """The address of a Milvus server of its own process, milvus-lite's, that keeps all in `folder`.

    It has Milvus' protocol, BM25 and filters, on one thread of Python: a double of a cluster.

    Raises:
        UsageError: it does not start; milvus-lite may be missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = ["--data-dir", str(folder / "data"), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("a") as log:
        server = subprocess.Popen(
            [sys.executable, "-u", "-m", "milvus_lite", "server", *settings],
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        if not server.stdout or not server.stdout.readline():  # its first line says that it listens
            raise UsageError(f"milvus-lite does not start; see {folder / 'server.log'}.")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.communicate()


def tiny_model(
    folder: Path,
    *,
    kind: Literal["decoder", "encoder"] = "decoder",
    chat_template: bool = False,
    seed: int = 0,
) -> Path:
    """Write a two-layer random transformer with a byte tokenizer to `folder`.

    Args:
        folder: where to; made if missing.
        kind: `decoder` is a Llama (causal, EOS = PAD as in many real ones), `encoder` a BERT.
        chat_template: give the tokenizer a chat template, as instruction-tuned decoders have.
        seed: of the random weights.
    """
    import torch
    from transformers import AutoModel, BertConfig, LlamaConfig
    from transformers.utils import logging as chatter

    chatter.disable_progress_bar()
    shape = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "vocab_size": 260,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,
    }
    config = (
        LlamaConfig(**shape, num_key_value_heads=2, eos_token_id=0, pad_token_id=0)
        if kind == "decoder"
        else BertConfig(**shape, pad_token_id=0)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(config)
        torch.nn.init.normal_(model.get_input_embeddings().weight, std=0.2)  # row 0 is EOS, not 0
    model.save_pretrained(folder)
    _byte_tokenizer(kind, chat_template).save_pretrained(folder)
    return folder


def _byte_tokenizer(kind: str, chat_template: bool):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<eos>": 0, "<cls>": 1, "<sep>": 2, "<mask>": 3}
    vocabulary |= {letter: i + 4 for i, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if kind == "encoder":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<cls> $A <sep>",
            pair="<cls> $A <sep> $B:1 <sep>:1",
            special_tokens=[("<cls>", 1), ("<sep>", 2)],
        )
    types = ["token_type_ids"] if kind == "encoder" else []
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<eos>",
        pad_token="<eos>",
        model_max_length=512,
        model_input_names=["input_ids", *types, "attention_mask"],
    )
    if chat_template:
        fast.chat_template = "{% for m in messages %}<cls>{{ m['content'] }}<sep>{% endfor %}"
    return fast
