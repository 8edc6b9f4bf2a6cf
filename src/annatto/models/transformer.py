"""The transformer under an Embedder: its configuration, weights, identity and placement."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from annatto.core.errors import UsageError, WeightsError, nearest
from annatto.models.tokens import Tokenizer, open_tokenizer
from annatto.models.weights import file_hash, weights_files

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
    folder: Path, config: Any, dtype: str, attention: str | None = None
) -> torch.nn.Module:
    """The weights, from safetensors only, on the GPU where there is one.

    Args:
        folder: holds them.
        config: see `read_config`.
        dtype: of DTYPES.
        attention: of ATTENTION; what transformers chooses when None.

    Raises:
        UsageError: the attention is unknown, or cannot run here or with this model.
    """
    from transformers import AutoModel

    weights_files(folder)
    chosen = {} if attention is None else {"attn_implementation": attention}
    check_attention(attention, dtype)
    try:
        with silence():
            model: Any = AutoModel.from_pretrained(
                folder, config=config, dtype=DTYPES[dtype], use_safetensors=True, **chosen
            )
    except ValueError as error:
        if attention is None:
            raise
        raise UsageError(
            f"{folder} cannot run with attn_implementation '{attention}' ({error}); leave it out."
        ) from error
    if getattr(config, "is_causal", None) is False:
        for module in model.modules():
            if getattr(module, "is_causal", False):
                module.is_causal = False  # else the kernel is causal whenever nothing is padded
    placed: torch.nn.Module = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    return placed


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep transformers from reporting weights that are left out, or made anew, on purpose."""
    from transformers.utils import logging as noise

    level = noise.get_verbosity()
    noise.set_verbosity_error()
    noise.disable_progress_bar()
    try:
        yield
    finally:
        noise.set_verbosity(level)


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
    """The tokenizer of a model folder."""
    from transformers import AutoTokenizer

    try:
        fast = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{folder} has no tokenizer that can be loaded; put the model's tokenizer.json there."
        ) from error
    return open_tokenizer(fast, ends_in_eos=ends_in_eos)


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


def window(config: Any) -> int:
    """The longest input the positions allow, at most 8192 tokens."""
    return min(int(getattr(config, "max_position_embeddings", LONGEST)), LONGEST)


def is_causal(model: torch.nn.Module) -> bool:
    """Whether tokens see only what stands before them."""
    return any(getattr(module, "is_causal", False) for module in model.modules())


def outline_is_causal(config: Any) -> bool:
    """`is_causal` of the model that `config` describes, without its weights."""
    from transformers import AutoModel

    with torch.device("meta"):
        return is_causal(AutoModel.from_config(config))


def numbers_positions(model: torch.nn.Module) -> bool:
    """Whether the model numbers positions from its padding itself, as RoBERTa's kin do."""
    return any(hasattr(module, "create_position_ids_from_input_ids") for module in model.modules())


def auto_dtype() -> str:
    """`bfloat16` where the processor or GPU computes in it, else `float32`."""
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"


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
