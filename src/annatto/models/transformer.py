"""The transformer under an Embedder: its configuration, weights, identity and placement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from annatto.core.errors import UsageError, WeightsError, nearest
from annatto.models.tokens import Tokenizer, open_tokenizer
from annatto.models.weights import file_hash, weights_files

GPU_TOKENS = 65536
THREAD_TOKENS = 512
MOST_TOKENS = 4096
"""A batch holds so many tokens: on a GPU, for each thread of a processor, at most on a processor.
Small batches pad less: with 512 rather than 4096, 24 documents of 40 to 512 tokens took all-MiniLM
a third and SmolLM2 a fifth less processor time on one thread."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ATTENTION = ("eager", "sdpa", "flash_attention_2")
LONGEST = 8192
PASSING = ("transformers_version", "_name_or_path", "dtype", "torch_dtype", "architectures")


def read_config(folder: Path, *, layers: int | None, bidirectional: bool) -> Any:
    """The configuration, cut to the first `layers` and without the causal mask when asked to."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{folder}/config.json names no model that can be loaded.") from error
    if layers is not None:
        if not 1 <= layers <= config.num_hidden_layers:
            raise WeightsError(
                f"{folder} has {config.num_hidden_layers} layers; {layers} cannot be kept."
            )
        config.num_hidden_layers = layers
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:layers]
    if bidirectional:
        config.is_causal = False
    return config


def read_model(
    folder: Path, config: Any, dtype: str, attention: str | None = None, *, head: str = ""
) -> torch.nn.Module:
    """The weights, frozen, from safetensors only, on the GPU where there is one.

    Args:
        folder: holds them.
        config: see `read_config`.
        dtype: of DTYPES.
        attention: of ATTENTION; what transformers chooses when None.
        head: what stands on the transformer, in transformers' words: `CausalLM` or
            `SequenceClassification`; nothing when empty.

    Raises:
        UsageError: the attention is unknown, or cannot run here or with this model.
        WeightsError: the folder does not hold the weights of the head.
    """
    weights_files(folder)
    chosen = {} if attention is None else {"attn_implementation": attention}
    check_attention(attention, dtype)
    try:
        model, told = read_as(folder, head, config=config, dtype=DTYPES[dtype], **chosen)
    except ValueError as error:
        if attention is None:
            raise
        raise UsageError(
            f"{folder} cannot run with attn_implementation '{attention}' ({error}); leave it out."
        ) from error
    if head and (missing := sorted(told["missing_keys"])):
        raise WeightsError(
            f"{folder} lacks {len(missing)} of the weights that {head} needs (first: "
            f"{missing[0]}); give a folder that was saved with that head."
        )
    if getattr(config, "is_causal", None) is False:
        for module in model.modules():
            if getattr(module, "is_causal", False):
                module.is_causal = False  # else the kernel is causal whenever nothing is padded
    placed: torch.nn.Module = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    return placed.requires_grad_(False)


def read_language_model(
    folder: Path, config: Any, dtype: str, attention: str | None = None
) -> torch.nn.Module:
    """A causal model with its language-model head; see `read_model`.

    Raises:
        UsageError: as there.
        WeightsError: the model is not causal, or its head is not in the folder.
    """
    if not is_causal(outline(config)):
        raise WeightsError(
            f"{folder} is no causal language model: '{config.model_type}' reads both ways; give a "
            "decoder such as smollm2."
        )
    return read_model(folder, config, dtype, attention, head="CausalLM")


def read_as(folder: Path, head: str, **how: Any) -> tuple[Any, dict[str, Any]]:
    """The model, and what transformers says of its weights; its messages are kept back.

    Args:
        folder: holds the weights, in safetensors.
        head: see `read_model`; here weights of it that are missing are drawn anew.
        how: for `from_pretrained`.
    """
    import transformers
    from transformers.utils import logging as noise

    auto = getattr(transformers, f"AutoModelFor{head}" if head else "AutoModel")
    level = noise.get_verbosity()
    noise.set_verbosity_error()  # it reports weights left out, or made anew, on purpose
    noise.disable_progress_bar()
    try:
        found: tuple[Any, dict[str, Any]] = auto.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, **how
        )
    finally:
        noise.set_verbosity(level)
    return found


def check_attention(attention: str | None, dtype: str) -> None:
    """Refuse an attention that is unknown or cannot run here.

    flash_attention_2 takes batches unpadded: transformers cuts the padding out by the mask it is
    given (`_upad_input` in modeling_flash_attention_utils), so that padding costs nothing in it.

    Raises:
        UsageError: it names what is possible here.
    """
    from transformers.utils import is_flash_attn_2_available

    if attention is None or attention in ATTENTION[:2]:
        return
    if attention not in ATTENTION:
        raise UsageError(
            f"no attn_implementation is called '{attention}'; {nearest(attention, ATTENTION)}."
        )
    has = {
        "a CUDA GPU": torch.cuda.is_available(),
        "the package flash-attn": is_flash_attn_2_available(),
        "dtype bfloat16": dtype == "bfloat16",
    }
    missing = [what for what, found in has.items() if not found]
    if missing:
        raise UsageError(
            f"{attention} needs {', '.join(has)}; not found: {', '.join(missing)}; "
            "choose sdpa or eager, or leave attn_implementation out."
        )


def read_tokenizer(folder: Path, *, ends_in_eos: bool) -> Tokenizer:
    """The tokenizer of a model folder, without its chat template."""
    return open_tokenizer(read_chat_tokenizer(folder), ends_in_eos=ends_in_eos)


def read_chat_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder as transformers reads it, with its chat template."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{folder} has no tokenizer that can be loaded; put the model's tokenizer.json there."
        ) from error


def identity(folder: Path, config: Any) -> str:
    """sha256 over the weights' files and what the configuration says of the computation."""
    said = {key: value for key, value in config.to_dict().items() if key not in PASSING}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode())
    for path in weights_files(folder):
        digest.update(file_hash(path).encode())
    return digest.hexdigest()


def state_identity(model: torch.nn.Module) -> str:
    """sha256 over weights in memory, for a model that has no files yet."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def window(model: torch.nn.Module) -> int:
    """The longest input the positions allow, at most 8192 tokens."""
    config: Any = model.config
    most = int(getattr(config, "max_position_embeddings", LONGEST))
    return min(most - _first_position(model), LONGEST)


def is_causal(model: torch.nn.Module) -> bool:
    """Whether tokens see only what stands before them."""
    return any(getattr(module, "is_causal", False) for module in model.modules())


def outline(config: Any) -> torch.nn.Module:
    """The model that `config` describes, without its weights."""
    from transformers import AutoModel

    with torch.device("meta"):
        model: torch.nn.Module = AutoModel.from_config(config)
    return model


def numbers_positions(model: torch.nn.Module) -> bool:
    """Whether the model numbers positions from its padding itself, as RoBERTa's kin do."""
    return _first_position(model) > 0


def _first_position(model: torch.nn.Module) -> int:
    """Which position a text's first token has: RoBERTa's kin keep those up to padding's unused."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            return 0 if module.padding_idx is None else module.padding_idx + 1
    return 0


def auto_dtype() -> str:
    """`bfloat16` where the processor or GPU computes in it, else `float32`."""
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"


def token_budget(device: torch.device) -> int:
    """How many tokens, padding included, a batch on this device holds."""
    if device.type != "cpu":
        return GPU_TOKENS
    return min(THREAD_TOKENS * torch.get_num_threads(), MOST_TOKENS)


def pad(
    rows: Sequence[Sequence[int]], fill: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of ids and their mask, (b, t) int64, padded on the right with `fill`."""
    width = max(len(row) for row in rows)
    padded = [[*row, *[fill] * (width - len(row))] for row in rows]
    mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
    return torch.tensor(padded, device=device), torch.tensor(mask, device=device)


def known_dtype(dtype: str) -> str:
    """The dtype itself; of `auto`, what this machine computes in.

    Raises:
        UsageError: it is unknown.
    """
    chosen = auto_dtype() if dtype == "auto" else dtype
    if chosen not in DTYPES:
        raise UsageError(f"no dtype is called '{chosen}'; {nearest(chosen, DTYPES)}.")
    return chosen


def plan_batches(lengths: Sequence[int], budget: int) -> Iterator[tuple[int, int]]:
    """Cut texts sorted by length into ranges of at most `budget` tokens, padding included.

    Args:
        lengths: tokens per text, ascending.
        budget: tokens; a text longer than it stands alone.

    >>> list(plan_batches([2, 2, 3, 9], 6))
    [(0, 2), (2, 3), (3, 4)]
    """
    start = 0
    for stop in range(1, len(lengths) + 1):
        if stop == len(lengths) or (stop + 1 - start) * lengths[stop] > budget:
            yield start, stop
            start = stop
