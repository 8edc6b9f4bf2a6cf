"""One step of training with LoRA: annatto against sentence-transformers.

    python benchmarks/bench_train.py [COLLECTION] [--quick]

Both take the same texts and leave updated adapters: tokens, forward, backward, clipping and AdamW
are timed, on SmolLM2 (12 layers), bfloat16 weights with float32 adapters (rank 16, all linear
layers) under autocast, from the same folder and the same first adapters. `ratio` is for queries
behind an instruction and 3 demonstrations, about 500 tokens, against
CachedMultipleNegativesRankingLoss; `ratio_plain` for the instruction alone, where
MultipleNegativesRankingLoss may take part. The peer's loss, mini-batch and attention are those that
were fastest in a trial, whose seconds are printed. `agree` is the relative difference of loss and
gradient norm in the first step, in bfloat16.

COLLECTION is a saved collection or a BEIR folder whose positives make the pairs; without it,
Python's standard library.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate.utils import convert_outputs_to_fp32
from bench_icl_queries import INSTRUCTION, prompt_of
from measure import Timings, alternate, matmul_probe, report
from pairs import pairs_of
from peft import LoraConfig
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from sentence_transformers.util import batch_to_device

from annatto.core.types import INSTRUCT, Prompt, Targets
from annatto.models.embedder import Embedder
from annatto.models.prompts import render
from annatto.ops.objectives import info_nce
from annatto.train import lora
from annatto.train.ranks import Ranks
from annatto.train.settings import Settings
from annatto.train.step import Step

PREFIX = 500
DOCUMENT = 128
TEMPERATURE = 0.05
RANK, ALPHA = 16, 32
RATE = 1e-5
"""Low, as every step sees the same batch."""
SIZES = (4, 8, 16)
UNCACHED = 0
"""As a mini-batch size: MultipleNegativesRankingLoss."""
ATTENTIONS = ("sdpa", "eager")

Update = Callable[[], tuple[float, float]]
"""A step, from texts to updated adapters; gives its loss and its gradient's norm."""


@dataclass(frozen=True)
class Batch:
    """Queries, each with its positive at the same place, and what stands before every query."""

    queries: list[str]
    documents: list[str]
    prompt: Prompt


@dataclass(frozen=True)
class Leg:
    """What was measured with one prompt.

    Attributes:
        timings: seconds per step.
        apart: relative difference of the first step, see above.
        told: which setting of the peer was best, and the seconds of all.
    """

    timings: Timings
    apart: float
    told: dict[str, object]


def our_step(model: Embedder, batch: Batch) -> Update:
    """A step of ours at the default `chunk_tokens`."""
    step = Step(model, Settings().chunk_tokens, is_mixed=True, ranks=Ranks(0, 1, model.device))
    optimizer = optimizer_of(model.model)
    short = dataclasses.replace(model, max_tokens=DOCUMENT)
    rows = torch.arange(len(batch.queries), device=model.device)
    mask = torch.ones(len(rows), len(rows), dtype=torch.bool, device=model.device)
    targets = Targets(positive=rows, mask=mask, group=rows.unsqueeze(1))
    objective = functools.partial(info_nce, temperature=TEMPERATURE)

    def update() -> tuple[float, float]:
        queries = model.tokenize(batch.queries, prompt=batch.prompt)
        documents = short.tokenize(batch.documents).ids
        loss = step(queries, documents, targets, objective, seed=0)
        return loss, apply(optimizer)

    return update


def peer_step(peer: SentenceTransformer, batch: Batch, size: int, attention: str) -> Update:
    """A step of the peer's, as its Trainer does it, without the Trainer."""
    peer[0].model.set_attn_implementation(attention)
    loss_of = (
        MultipleNegativesRankingLoss(peer, scale=1 / TEMPERATURE)
        if size == UNCACHED
        else CachedMultipleNegativesRankingLoss(peer, scale=1 / TEMPERATURE, mini_batch_size=size)
    )
    optimizer = optimizer_of(peer)
    shown = render(batch.prompt)

    def update() -> tuple[float, float]:
        features = [
            peer.preprocess(batch.queries, prompt=shown),
            peer.preprocess(batch.documents, max_length=DOCUMENT),
        ]
        loss = loss_of([batch_to_device(column, peer.device) for column in features], None)
        loss.backward()
        return loss.item(), apply(optimizer)

    return update


def optimizer_of(model: torch.nn.Module) -> torch.optim.Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.0)


def apply(optimizer: torch.optim.Optimizer) -> float:
    """Clip, update and forget the gradients; gives their norm."""
    norm = torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(norm)


def our_model(folder: Path) -> Embedder:
    """With adapters."""
    model = Embedder.load(folder, dtype="bfloat16")
    adapted = lora.attach(model.model, rank=RANK, alpha=ALPHA, seed=0)
    return dataclasses.replace(model, model=adapted.train())


def peer_model(folder: Path, ours: Embedder) -> SentenceTransformer:
    """The same weights and adapters, under autocast as its Trainer does with bf16 = True."""
    peer = SentenceTransformer(str(folder), model_kwargs={"dtype": torch.bfloat16})
    peer.add_adapter(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear"))
    found = {
        name.partition("layers.")[2]: parameter.detach()
        for name, parameter in ours.model.named_parameters()
        if parameter.requires_grad
    }
    for name, parameter in peer.named_parameters():
        if parameter.requires_grad:
            parameter.data = found.pop(name.partition("layers.")[2]).clone()
    assert not found
    mixed = torch.autocast(peer.device.type, torch.bfloat16)(peer.forward)
    peer.forward = convert_outputs_to_fp32(mixed)
    return peer.train()


def fastest(peer: SentenceTransformer, batch: Batch, sizes: tuple[int, ...]) -> dict[str, object]:
    """The setting with which the peer's second step is fastest, and the seconds of all.

    A single size needs no trial: it is taken with the attention that is faster on short texts.
    """
    if len(sizes) == 1:
        return {"size": sizes[0], "attention": "eager"}
    seconds = {}
    for size, attention in itertools.product(sizes, ATTENTIONS):
        update = peer_step(peer, batch, size, attention)
        update()
        begin = time.perf_counter()
        update()
        seconds[size, attention] = time.perf_counter() - begin
    size, attention = min(seconds, key=seconds.__getitem__)
    trials = {f"{size or 'uncached'} {how}": round(s, 3) for (size, how), s in seconds.items()}
    return {"size": size, "attention": attention, "trials": trials}


def measure(folder: Path, batch: Batch, sizes: tuple[int, ...], rounds: int) -> Leg:
    """Both sides with one prompt."""
    model = our_model(folder)
    peer = peer_model(folder, model)
    ours = our_step(model, batch)
    first = zip(ours(), peer_step(peer, batch, sizes[0], ATTENTIONS[0])(), strict=True)
    apart = max(abs(one - other) / other for one, other in first)
    told = fastest(peer, batch, sizes)
    theirs = peer_step(peer, batch, told["size"], told["attention"])
    timings = alternate(ours, theirs, rounds=rounds, probe=matmul_probe("bfloat16"))
    tokens = model.tokenize(batch.queries, prompt=batch.prompt)
    return Leg(timings, apart, {"prefix_tokens": tokens.shared, **told})


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("collection", nargs="?", type=Path)
    words.add_argument("--pairs", type=int, default=16, help="a step's queries")
    words.add_argument("--rounds", type=int, default=8)
    words.add_argument(
        "--quick", action="store_true", help="few pairs, one round, no trial: a minute"
    )
    asked = words.parse_args()
    if asked.quick:
        asked.pairs, asked.rounds = 4, 1
    queries, documents = pairs_of(asked.collection, asked.pairs + 32)
    model = Embedder.load("smollm2", layers=12, max_tokens=1024)
    prompts = {
        "ratio": prompt_of(model, sorted(documents[asked.pairs :], key=len)[-6:], PREFIX),
        "ratio_plain": Prompt(INSTRUCT, INSTRUCTION),
    }
    choices = {"ratio": SIZES, "ratio_plain": (UNCACHED, *SIZES)}
    legs = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = model.save(Path(scratch) / "model")
        del model
        for name, prompt in prompts.items():
            sizes = choices[name][: 1 if asked.quick else None]
            batch = Batch(queries[: asked.pairs], documents[: asked.pairs], prompt)
            legs[name] = measure(folder, batch, sizes, asked.rounds)
    shown, plain = legs["ratio"], legs["ratio_plain"]
    report(
        "bench_train",
        shown.timings,
        max(shown.apart, plain.apart),
        ratio_plain=round(plain.timings.ratio, 3),
        ratio_plain_spread=[round(v, 3) for v in plain.timings.spread],
        pairs=asked.pairs,
        queries_per_s=round(asked.pairs / statistics.median(shown.timings.ours), 2),
        demonstrations=shown.told,
        instruction=plain.told,
    )


if __name__ == "__main__":
    main()
