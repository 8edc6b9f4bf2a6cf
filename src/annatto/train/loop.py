"""Fine-tune an Embedder on a Collection: contrastive learning with a teacher's soft labels.

Paper: Choi et al., LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438: an InfoNCE form
    and soft labels from a retrieval pipeline. LoRA on a decoder and hard negatives below 95 % of
    the positive's score are second-hand, from public reviews of its extended version.
Differs: the paper's settings table could not be read; every default of `Settings`, and one task per
    batch, is our choice.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from annatto.core.atomic import read_json, write_json
from annatto.core.errors import AnnattoError, UsageError
from annatto.core.progress import track
from annatto.core.store import collection_hash
from annatto.core.types import Collection
from annatto.models.embedder import Embedder
from annatto.models.transformer import auto_dtype, state_identity
from annatto.train import batches, checkpoint, lora
from annatto.train.settings import Settings
from annatto.train.step import Step
from annatto.train.texts import Texts, tokenize

logger = logging.getLogger(__name__)

VERSION = 1
PROBE_STEPS = 3
SHORT = 512
"""Up to so many tokens, plain attention trains faster on a CPU than the fused kernel: 4.6 s a step
instead of 5.6 s with 12 layers and 128 tokens."""


def train(
    collection: Collection, model: Embedder, *, settings: Settings, work: Path | None = None
) -> Embedder:
    """Train a copy of `model` on the split `train` and return it, merged, in float32.

    Args:
        collection: positives, mined negatives if any, and candidates of `settings.teacher`.
        model: the starting point; it is not changed.
        settings: see Settings.
        work: where checkpoints go; a run that was killed continues from here to the same weights.
            Without it nothing is kept.

    Raises:
        SchemaError: no positives in the split, or a positive without a teacher score.
        UsageError: the teacher is the starting point itself, or `work` belongs to another run.
        AnnattoError: the loss is no longer a number.
    """
    _refuse_self_teaching(collection, model, settings)
    found = batches.examples(collection, teacher=settings.teacher)
    texts = tokenize(collection, model, found)
    _say_cut(model, texts, found)
    student = _copy(model, settings, model.dtype if settings.lora_rank else "float32")
    _attend_plainly(student)
    is_mixed = (auto_dtype() if settings.lora_rank == 0 else model.dtype) == "bfloat16"
    step = Step(student, texts, settings, is_mixed)
    run = _run_key(collection, model, settings)
    settings = _with_steps(step, found, settings, run=run, work=work)
    log = _run(replace(step, settings=settings), found, run=run, work=work)
    card = {
        "stage": "train.loop.train",
        "settings": asdict(settings),
        "inputs": {"collection": collection_hash(collection), "weights_id": model.weights_id},
        "notes": {
            "queries": len(found.queries),
            "examples": len(found.query),
            "queries cut": texts.cut_queries,
            "documents cut": texts.cut_documents,
            "log": log,
        },
    }
    return replace(_merged(model, student, settings), card=card)


def _refuse_self_teaching(collection: Collection, model: Embedder, settings: Settings) -> None:
    source = collection.card.get("sources", {}).get(settings.teacher, {})
    if source.get("weights_id") == model.weights_id and not settings.self_teaching:
        raise UsageError(
            f"the teacher '{settings.teacher}' is {model.name} itself, the model to be trained: it "
            "can teach nothing new; choose another teacher, or say self_teaching = true."
        )


def _say_cut(model: Embedder, texts: Texts, found: batches.Examples) -> None:
    if texts.cut_queries or texts.cut_documents:
        logger.warning(
            "%s: %d of %d queries and %d of %d documents are longer than %d tokens; their ends "
            "are not trained on",
            model.name,
            texts.cut_queries,
            len(found.queries),
            texts.cut_documents,
            len(texts.rows),
            model.max_tokens,
        )


def _run_key(collection: Collection, model: Embedder, settings: Settings) -> str:
    """Names a run: a checkpoint of another one is refused."""
    said = {
        "settings": {k: v for k, v in asdict(settings).items() if k != "checkpoint_every"},
        "collection": collection_hash(collection),
        "model": {**model.describe(), "weights_id": model.weights_id, "dtype": model.dtype},
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _copy(model: Embedder, settings: Settings, dtype: str) -> Embedder:
    """A copy to train: frozen weights with adapters, or all weights."""
    copy = model.reload(dtype)
    if settings.lora_rank == 0:
        return copy
    adapted = lora.attach(
        copy.model, rank=settings.lora_rank, alpha=settings.lora_alpha, seed=settings.seed
    )
    return replace(copy, model=adapted)


def _attend_plainly(student: Embedder) -> None:
    if student.device.type == "cpu" and student.max_tokens <= SHORT:
        network: Any = student.model
        network.set_attn_implementation("eager")


def _merged(model: Embedder, student: Embedder, settings: Settings) -> Embedder:
    """The trained weights in float32; adapters are merged into the float32 originals."""
    whole = _copy(model, settings, "float32")
    checkpoint.put(whole.model, checkpoint.trained(student.model))
    if settings.lora_rank:
        whole = replace(whole, model=lora.merge(whole.model))
    whole.model.eval().requires_grad_(False)
    return replace(whole, weights_id=state_identity(whole.model))


def _with_steps(
    step: Step, found: batches.Examples, settings: Settings, *, run: str, work: Path | None
) -> Settings:
    """Turn `minutes` into a number of steps, once per run, from a timed probe."""
    if settings.minutes <= 0:
        return settings
    chosen = work / "steps.json" if work else None
    if chosen and chosen.exists() and (said := read_json(chosen))["run"] == run:
        return replace(settings, steps=int(said["steps"]))
    plan = batches.plan(
        found, batch_size=settings.batch_size, steps=PROBE_STEPS, seed=settings.seed
    )
    seconds = []
    for number, rows in enumerate(plan):
        begin = time.perf_counter()
        step(
            batches.build(
                found, rows, negatives=settings.negatives, seed=settings.seed, step=number
            )
        )
        seconds.append(time.perf_counter() - begin)
    step.model.model.zero_grad(set_to_none=True)
    steps = max(int(settings.minutes * 60 / float(np.median(seconds))), 1)
    logger.warning(
        "%.2f s a step: %d steps in %g minutes", np.median(seconds), steps, settings.minutes
    )
    if chosen:
        write_json(chosen, {"run": run, "steps": steps})
    return replace(settings, steps=steps)


def _run(
    step: Step, found: batches.Examples, *, run: str, work: Path | None
) -> list[Mapping[str, Any]]:
    """All steps, from the newest checkpoint where there is one; returns the metric log."""
    settings, model = step.settings, step.model.model
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=settings.lr, weight_decay=0.0)
    done = 0
    log: list[Mapping[str, Any]] = []
    if work:
        done, log = checkpoint.restore(work, run=run, model=model, optimizer=optimizer)
        if done:
            logger.warning("continuing after step %d of %d", done, settings.steps)
    model.train()
    plan = batches.plan(
        found, batch_size=settings.batch_size, steps=settings.steps, seed=settings.seed
    )
    for number, rows in track(enumerate(plan), f"{step.model.name}: training", settings.steps):
        if number < done:
            continue
        batch = batches.build(
            found, rows, negatives=settings.negatives, seed=settings.seed, step=number
        )
        log.append(_update(step, optimizer, batch, number))
        is_due = (number + 1) % settings.checkpoint_every == 0 or number + 1 == settings.steps
        if work and is_due:
            checkpoint.save(
                work, run=run, step=number + 1, model=model, optimizer=optimizer, log=log
            )
    return log


def _update(
    step: Step, optimizer: torch.optim.Optimizer, batch: batches.Batch, number: int
) -> dict[str, float]:
    """One optimizer step; its random numbers depend on the seed and its number alone."""
    rate = step.settings.rate(number)
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.random.fork_rng():
        torch.manual_seed(step.settings.seed * 1_000_003 + number)
        loss = step(batch)
    if not math.isfinite(loss):
        raise AnnattoError(
            f"the loss of step {number + 1} is {loss}; lower lr or raise temperature. The last "
            "checkpoint is untouched."
        )
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, 1.0))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {"step": number + 1, "loss": loss, "gradient": norm, "lr": rate}
