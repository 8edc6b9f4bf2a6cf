"""One prefix for many texts: instruction and demonstrations are computed once, exactly.

Where every text of a call begins with the same tokens, encoding keeps the keys and values of that
beginning and runs only what differs. Training packs the beginning and all texts into one sequence,
so that gradients reach the beginning, too; nothing is padded, and no key-value cache is involved
(transformers drops one under gradient checkpointing, with a mere warning).

Queries and keys carry positions that go on from the prefix; everything else works token by token,
so the vectors are those of whole texts up to rounding: see `ops.tree_attention`.

Paper: Juravsky et al., Hydragen: High-Throughput LLM Inference with Shared Prefixes, 2024,
    arXiv:2402.05099, for generating text.
Differs: texts are encoded; training computes the prefix along with them, in one packed sequence.
"""

from __future__ import annotations

import functools
import logging
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from annatto.models.tokens import Tokens
from annatto.ops.pooling import pool_packed
from annatto.ops.tree_attention import Packing, attend, packing

logger = logging.getLogger(__name__)

SHORTEST = 8
"""Shared tokens from which packing pays."""
NEAR = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""How far vectors of the trial may lie from those of whole texts, by dtype of the weights."""
OURS = "annatto_"
"""Begins the name of an attention that knows packed sequences."""
KEPT = 8
"""Prefixes whose memory a frozen model keeps."""


@dataclass(frozen=True)
class Memory:
    """What a prefix leaves behind.

    Attributes:
        layers: keys and values (g, p, d) of every layer.
        states: (p, d) final states of its tokens.
        stamp: of the weights it was computed with: another where they were changed or moved.
    """

    layers: Sequence[tuple[torch.Tensor, torch.Tensor]]
    states: torch.Tensor
    stamp: int


_obstacles: weakref.WeakKeyDictionary[torch.nn.Module, str] = weakref.WeakKeyDictionary()
_memories: weakref.WeakKeyDictionary[torch.nn.Module, dict[tuple[int, ...], Memory]] = (
    weakref.WeakKeyDictionary()
)


def shareable(model: torch.nn.Module, tokens: Tokens, name: str) -> int:
    """How many leading tokens of these texts can be computed once for all of them.

    Args:
        model: the transformer.
        tokens: of the texts.
        name: of the model, to say once where a long beginning has to be computed for each text.
    """
    if tokens.shared < SHORTEST:
        return 0
    reason = obstacle(model)
    if not reason and not fits_window(model, max(len(row) for row in tokens.ids)):
        reason = "it sees less than the longest text at once"
    if reason:
        _say_unshared(name, tokens.shared, reason)
    return 0 if reason else tokens.shared


@functools.cache
def _say_unshared(name: str, tokens: int, reason: str) -> None:
    logger.warning(
        "%s: %d tokens in front of every query are computed for each one anew: %s",
        name,
        tokens,
        reason,
    )


def obstacle(model: torch.nn.Module) -> str:
    """Why a prefix cannot be shared exactly, in words; empty where it can.

    The model is tried once on a dozen made-up tokens: shared and whole must agree.
    """
    if model not in _obstacles:
        _obstacles[model] = _find_obstacle(model)
    return _obstacles[model]


def packs(model: torch.nn.Module, tokens: int) -> bool:
    """Whether texts of at most `tokens` tokens can go through packed into one sequence."""
    return not obstacle(model) and fits_window(model, tokens)


def fits_window(model: torch.nn.Module, tokens: int) -> bool:
    """Whether `tokens` tokens lie within every layer's attention window.

    And within the first training length of LongRoPE, from which on all positions are others.
    """
    config: Any = model.config
    windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "longrope":
        windows.append(rope.get("original_max_position_embeddings"))
    return all(tokens <= window for window in windows if window)


def prepare(model: torch.nn.Module) -> None:
    """Let `model` attend to packed sequences; padded ones go on through the kernel it had."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    network: Any = model
    before = network.config._attn_implementation
    name = OURS + before
    if before.startswith(OURS) or before not in ALL_ATTENTION_FUNCTIONS:
        return
    if name not in ALL_ATTENTION_FUNCTIONS:
        ALL_ATTENTION_FUNCTIONS.register(name, _attention(ALL_ATTENTION_FUNCTIONS[before]))
        ALL_MASK_ATTENTION_FUNCTIONS.register(name, ALL_MASK_ATTENTION_FUNCTIONS[before])
    network.set_attn_implementation(name)


def recall(model: torch.nn.Module, prefix: tuple[int, ...]) -> Memory:
    """The prefix's memory; a frozen model keeps the last few, so that a server computes them once.

    Args:
        model: prepared, in evaluation mode.
        prefix: p token ids, at least one.
    """
    parameters = list(model.parameters())
    if any(p.requires_grad for p in parameters):
        return _remember(model, prefix, 0)
    kept = _memories.setdefault(model, {})
    stamp = hash(tuple((id(p), p.data_ptr(), p._version) for p in parameters))
    found = kept.pop(prefix, None)
    if found is None or found.stamp != stamp:
        found = _remember(model, prefix, stamp)
    kept[prefix] = found  # the latest stands last
    while len(kept) > KEPT:
        del kept[next(iter(kept))]
    return found


def forget(model: torch.nn.Module) -> None:
    """Drop what is kept of this model's prefixes."""
    _memories.pop(model, None)


def _remember(model: torch.nn.Module, prefix: tuple[int, ...], stamp: int) -> Memory:
    ids = torch.tensor([prefix], device=next(model.parameters()).device)
    with torch.no_grad():
        found: Any = model(input_ids=ids, use_cache=True)
    layers = [(layer.keys[0], layer.values[0]) for layer in found.past_key_values.layers]
    return Memory(layers, found.last_hidden_state[0], stamp)


def forward(
    model: torch.nn.Module,
    prefix: Sequence[int],
    texts: Sequence[Sequence[int]],
    *,
    pooling: str,
    memory: Memory | None = None,
) -> torch.Tensor:
    """Unit vectors of texts that all begin with `prefix`.

    Args:
        model: prepared, see `prepare`.
        prefix: the p token ids in front of every text; may be empty.
        texts: own token ids, at least one each.
        pooling: see `ops.pooling`; prefix tokens count as every text's own.
        memory: of this prefix, see `recall`; without it the prefix is computed along, with
            gradient.

    Returns:
        (b, d) float32.
    """
    device = next(model.parameters()).device
    packed = packing(len(prefix), [len(text) for text in texts], device)
    ids, positions = ([], []) if memory else (list(prefix), list(range(len(prefix))))
    for text in texts:
        ids += text
        positions += range(len(prefix), len(prefix) + len(text))
    states = model(
        input_ids=torch.tensor([ids], device=device),
        position_ids=torch.tensor([positions], device=device),
        attention_mask=torch.zeros(1, 1, 1, 1, device=device),  # 4 dimensions: taken as it is
        use_cache=False,
        packed=packed,
        prefix=memory.layers if memory else None,
    ).last_hidden_state[0]
    first = memory.states if memory else states[: len(prefix)]
    return pool_packed(states[-len(packed.back) :], first, packed, pooling)


def _attention(plain: Callable[..., Any]) -> Callable[..., Any]:
    """An attention function of transformers' interface that knows packed sequences."""

    def attention(
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        packed: Packing | None = None,
        prefix: Sequence[tuple[torch.Tensor, torch.Tensor]] | None = None,
        **how: Any,
    ) -> tuple[torch.Tensor, None]:
        if packed is None:
            found: tuple[torch.Tensor, None] = plain(
                module, query, key, value, attention_mask, **how
            )
            return found
        scale = how.get("scaling") or query.shape[-1] ** -0.5
        out = attend(
            query[0],
            key[0],
            value[0],
            packed,
            scale=scale,
            dropout=how.get("dropout", 0.0),
            prefix=prefix[module.layer_idx] if prefix else None,
        )
        return out.transpose(0, 1)[None], None

    return attention


def _find_obstacle(model: torch.nn.Module) -> str:
    network: Any = model
    attentions: list[Any] = [m for m in model.modules() if hasattr(m, "is_causal")]
    if not attentions or not all(m.is_causal for m in attentions):
        return "its attention is not causal"
    prepare(model)
    if not network.config._attn_implementation.startswith(OURS):
        return f"its attention, '{network.config._attn_implementation}', cannot be replaced"
    return _trial(model)


def _trial(model: torch.nn.Module) -> str:
    """Compare shared with whole on made-up tokens.

    They are from the middle of the vocabulary: the first are often special ones that no training
    touched, behind which a deep model in bfloat16 rounds so much that right looks like wrong
    (SmolLM2: 0.067, and 0.02 behind others, where positions that are off by one make 0.1).
    """
    network: Any = model
    most = int(network.config.vocab_size)
    made = [(most // 3 + i) % most for i in range(18)]
    prefix, texts = tuple(made[:12]), [made[12:15], made[15:16], made[16:]]
    device, is_training = next(model.parameters()).device, model.training
    model.eval()
    try:
        with torch.no_grad():
            memory = _remember(model, prefix, 0)
            shared = forward(model, prefix, texts, pooling="last", memory=memory)
            wholes = [
                model(input_ids=torch.tensor([[*prefix, *text]], device=device)) for text in texts
            ]
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        return f"a trial failed ({str(error).splitlines()[0]})"
    finally:
        model.train(is_training)
    last = torch.cat([states.last_hidden_state[:, -1] for states in wholes])
    far = float((shared - torch.nn.functional.normalize(last.float(), dim=-1)).norm(dim=-1).max())
    return (
        "" if far <= NEAR.get(last.dtype, NEAR[torch.float32]) else f"a trial differs by {far:.1e}"
    )
