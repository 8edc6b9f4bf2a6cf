"""Under which name and revision mteb keeps results: never those of another checkpoint."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from annatto.core.errors import MissingExtra, UsageError
from annatto.core.types import Encoder, Retriever, Scorer
from annatto.evaluate.mteb import known_tasks
from annatto.evaluate.mteb_models import EncoderModel, RetrieverModel, ScorerModel
from annatto.index.bm25 import BM25
from annatto.index.retriever import Dense, Hybrid, Rerank
from annatto.models.embedder import Embedder
from annatto.models.prompts import render, to_json
from annatto.models.scoring import identity
from annatto.models.trained_on import trained_on as tasks_of

ORGANISATION = "annatto"
VERSION = 1
DIGITS = 40
KINDS = {Embedder: "dense", Dense: "dense", BM25: "sparse", Hybrid: "hybrid", Rerank: "hybrid"}
"""In mteb's words; anything else is taken for a cross-encoder."""
NAMED = re.compile(r"[^\w.-]+")


def fingerprint(part: Encoder | Scorer | Retriever) -> dict[str, Any]:
    """Everything that decides the scores of a model, as JSON values.

    Of an Embedder: its weights, tokenizer, pooling, dtype, attention, token limit and all stored
    prompts. Of a retriever: its settings, and the fingerprints of its parts.

    Raises:
        UsageError: `part` has no identity that could be told.
    """
    match part:
        case Embedder():
            said = identity(
                part.model,
                part.tokenizer,
                weights_id=part.weights_id,
                pooling=part.pooling,
                dtype=part.dtype,
                max_tokens=part.max_tokens,
            )
            return {**said, "attention": part.attention, "prompts": to_json(part.prompts)}
        case BM25():
            return {"bm25": [part.k1, part.b]}
        case Dense():
            return {"dense": fingerprint(part.encoder)}
        case Hybrid():
            parts = [fingerprint(one) for one in part.retrievers]
            return {"rrf": parts, "rrf_k": part.rrf_k, "depth": part.depth}
        case Rerank():
            parts = [fingerprint(part.retriever), fingerprint(part.scorer)]
            return {"rerank": parts, "depth": part.depth}
    told = getattr(part, "identity", None)
    if not isinstance(told, dict):
        raise UsageError(
            f"mteb keeps results by what made them, and {part.name} does not tell: give it a "
            "property `identity`, a dict of all that decides its scores."
        )
    return told


def revision(part: Encoder | Scorer | Retriever) -> str:
    """40 hexadecimal digits; others wherever `fingerprint` differs."""
    said = json.dumps({"version": VERSION, **fingerprint(part)}, sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()[:DIGITS]


def as_mteb(
    part: Embedder | Scorer | Retriever, *, name: str = "", trained_on: Sequence[str] | None = None
) -> Any:
    """A model of ours as what `mteb.evaluate` takes.

    Args:
        part: an Embedder for tasks of all types; a Scorer for reranking; a Retriever for retrieval
            and reranking.
        name: behind `annatto/`; the part's own if empty.
        trained_on: tasks that it was trained on; by default what an Embedder's card says, and
            nothing known of others. mteb counts those among its tasks as seen.

    Raises:
        MissingExtra: mteb is not installed.
        UsageError: see `fingerprint`.
    """
    if isinstance(part, Embedder) and trained_on is None:
        trained_on = tasks_of(part.source, part.card)
    meta = _meta(part, name or part.name, trained_on)
    if isinstance(part, Embedder):
        return EncoderModel(part, meta)
    if isinstance(part, Retriever):
        return RetrieverModel(part, meta)
    return ScorerModel(part, meta)


def seen(tasks: Sequence[str]) -> set[str]:
    """These names, and mteb's own for those that are tasks of mteb's.

    They are the same when they differ in case and signs only, or by the type at the end:
    `banking77` is `Banking77Classification`.
    """
    ours = {_plain(task) for task in tasks} - {""}
    theirs = {
        name
        for name, kind in known_tasks().items()
        if {_plain(name), _plain(name).removesuffix(_plain(kind))} & ours
    }
    return {*tasks, *theirs}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _meta(part: Any, name: str, trained_on: Sequence[str] | None) -> Any:
    try:
        from mteb.models.model_meta import ModelMeta, ScoringFunction
    except ImportError as error:
        raise MissingExtra("a model for mteb", "mteb") from error
    known = {
        "name": f"{ORGANISATION}/{NAMED.sub('-', name)}",
        "revision": revision(part),
        "modalities": ["text"],
        "model_type": [KINDS.get(type(part), "cross-encoder")],
        "max_tokens": getattr(part, "max_tokens", None),
        "training_datasets": None if trained_on is None else seen(trained_on),
    }
    if isinstance(part, Embedder):
        known |= {
            "framework": ["PyTorch"],
            "embed_dim": part.dim,
            "n_parameters": sum(weight.numel() for weight in part.model.parameters()),
            "similarity_fn_name": ScoringFunction.COSINE,
            "use_instructions": any(render(prompt) for prompt in part.prompts.values()),
        }
    return ModelMeta.create_empty(overwrites=known)
