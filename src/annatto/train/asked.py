"""A batch's queries as the model sees them: behind instruction and demonstrations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import UsageError
from annatto.core.types import Prompt, query_prompts
from annatto.models.embedder import Embedder
from annatto.models.prompts import SIDE_TOKENS, find, render, shorten
from annatto.models.tokens import Tokens
from annatto.train import demos
from annatto.train.batches import Batch
from annatto.train.demos import Demonstrations
from annatto.train.settings import Settings


@dataclass(frozen=True)
class Asked:
    """Queries ready for a step.

    Attributes:
        tokens: of each query, and what all of them share.
        cut: how many sides of demonstrations lost their end.
    """

    tokens: Tokens
    cut: int


def ask(
    model: Embedder,
    queries: pa.Table,
    batch: Batch,
    pool: Demonstrations | None,
    settings: Settings,
    rng: np.random.Generator,
) -> Asked:
    """Tokenise a batch's queries behind k demonstrations, k ~ Uniform{0 … settings.demos}.

    Args:
        model: whose prompts and tokenizer are used.
        queries: QUERIES rows, all of `Examples.queries`.
        batch: whose queries are asked.
        pool: what may be shown; None without demonstrations.
        settings: `demos`, and whether one draw serves the batch or each query has its own.
        rng: of k and of the draws.
    """
    rows = queries.take(pa.array(batch.query))
    alone = settings.demos_per == "query" and pool is not None
    lots = [np.array([i]) for i in range(len(rows))] if alone else [np.arange(len(rows))]
    ids: list[list[int]] = [[]] * len(rows)
    was_cut, cut_sides, parts = np.zeros(len(rows), bool), 0, []
    for lot in lots:
        shown = _draw(pool, batch, settings, rng)
        for prompt, within in query_prompts(rows.take(pa.array(lot))):
            behind, cut = _behind(model, prompt, shown if pool else None)
            at = lot[within]
            tokens = model.tokenize(rows["text"].take(pa.array(at)).to_pylist(), prompt=behind)
            for i, row in zip(at, tokens.ids, strict=True):
                ids[i] = row
            was_cut[at], cut_sides = tokens.cut, cut_sides + cut
            parts.append(tokens.shared)
    return Asked(Tokens(ids, was_cut, parts[0] if len(parts) == 1 else 0), cut_sides)


def check_room(
    model: Embedder, queries: pa.Table, pool: Demonstrations, settings: Settings
) -> None:
    """Refuse demonstrations that may leave no room for a query, before any is drawn.

    For each task its longest ones are tried, as many as a step may draw, behind its longest
    instruction.

    Raises:
        UsageError: names the task, and the tokens that the prompt takes and has.
    """
    for task, name in enumerate(pool.tasks):
        rows = np.flatnonzero(pool.task == task)
        pairs = [(pool.query_texts[row], pool.document_texts[row]) for row in rows]
        of_task = queries.filter(pc.equal(queries["task"], name))
        asked = [find(prompt, model.prompts) for prompt, _ in query_prompts(of_task)]
        longest = _longest(model, pairs)[: settings.demos]
        behind, _ = _behind(model, max(asked, key=lambda prompt: len(render(prompt))), longest)
        try:
            model.tokenize([], prompt=behind)
        except UsageError as error:
            raise UsageError(
                f"a query of the task '{name}' may stand behind {len(longest)} demonstrations, and "
                f"with the longest of them {error}"
            ) from error


def _longest(model: Embedder, pairs: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Demonstrations, the longest in tokens first; no side counts for more than it may take."""
    sides = model.tokenizer.plain_ids([side for pair in pairs for side in pair])
    lengths = np.array([min(len(ids), SIDE_TOKENS) for ids in sides]).reshape(-1, 2).sum(1)
    return tuple(pairs[i] for i in np.argsort(-lengths, kind="stable"))


def _draw(
    pool: Demonstrations | None, batch: Batch, settings: Settings, rng: np.random.Generator
) -> tuple[tuple[str, str], ...]:
    if pool is None:
        return ()
    k = int(rng.integers(0, settings.demos + 1))
    return demos.draw(pool, task=pool.tasks.index(batch.task), batch=batch, k=k, rng=rng)


def _behind(
    model: Embedder, prompt: str | Prompt, shown: tuple[tuple[str, str], ...] | None
) -> tuple[Prompt, int]:
    """The prompt with what was drawn, be it nothing, in place of its stored demonstrations."""
    stored = find(prompt, model.prompts)
    if shown is None:
        return stored, 0
    return shorten(replace(stored, demos=shown), model.tokenizer)
