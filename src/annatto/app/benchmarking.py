"""Measure a model on benchmarks of mteb, and keep what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annatto.app.artefacts import kind_at, load_model, replaceable
from annatto.app.console import result, say, table
from annatto.core.atomic import write_json
from annatto.core.errors import AnnattoError, UsageError

if TYPE_CHECKING:
    from annatto.evaluate.mteb import TaskScore
    from annatto.evaluate.mteb_prompts import Shown

KIND = "benchmark results"
WORDS = "bm25"
SHOWN = 4
"""Columns of the table."""


@dataclass(frozen=True)
class Asked:
    """Which model is measured on what.

    Attributes:
        model: a folder, weights name or hub id of an embedding model or a reranker; or `bm25`.
        names: benchmarks and tasks.
        prompts: a task or type of task to the stored prompt that it is to be shown with.
        devices: processes that encode, a GPU each if there is one.
    """

    model: str
    names: Sequence[str]
    prompts: Mapping[str, str]
    devices: int = 1


def check_options(benchmark: object, *, systems: object, own: object) -> None:
    """Refuse options of `annatto evaluate` that do not go together.

    Args:
        benchmark: what --benchmark names, if anything.
        systems: what --model, --compare, --untouched and --keep name.
        own: what --prompt, --devices and --dry-run say, if anything.

    Raises:
        UsageError: systems with a benchmark, or options of a benchmark without one.
    """
    if benchmark and systems:
        raise UsageError(
            "--benchmark measures the one model that is named first; leave out --model, --compare, "
            "--untouched and --keep."
        )
    if own and not benchmark:
        raise UsageError(
            "--prompt, --devices and --dry-run are for --benchmark; name a benchmark or task of "
            "mteb with it, or leave them out."
        )


def show(asked: Asked, output: Path, *, dry_run: bool, as_json: bool) -> None:
    """Measure and show the scores; with `dry_run`, show the tasks and their prompts instead.

    Raises:
        AnnattoError: see `plan` and `measure_to`.
    """
    scores = [] if dry_run else list(measure_to(asked, output))
    rows: Sequence[Shown | TaskScore] = plan(asked) if dry_run else scores
    if as_json:
        result([row._asdict() for row in rows], "", as_json=True)
    else:
        columns = rows[0]._fields[:SHOWN]
        table("", columns, [[_cell(value) for value in row[:SHOWN]] for row in rows])
    refuse(scores)


def plan(asked: Asked) -> list[Shown]:
    """Which stored prompts an embedding model would be shown each task with; no data is needed.

    Raises:
        UsageError: an unknown name or prompt, or a model that stores no prompts.
    """
    from annatto.evaluate.mteb import find_tasks
    from annatto.evaluate.mteb_prompts import shown

    tasks = find_tasks(asked.names)
    prompts = getattr(_opened(asked, tasks), "prompts", None)
    if prompts is None:
        raise UsageError(f"{asked.model} stores no prompts; name an embedding model.")
    return shown(prompts, tasks)


def measure_to(asked: Asked, output: Path) -> Iterator[TaskScore]:
    """Measure a model, and keep results in `output`, where those of other models may lie.

    Names and prompts are checked before anything is encoded; each score is said when it is there.

    Raises:
        InputError: `output` holds something else.
        UsageError: an unknown name or prompt.
    """
    from annatto.evaluate.mteb import find_tasks, measure
    from annatto.evaluate.mteb_identity import as_mteb

    tasks = find_tasks(asked.names)
    replaceable(output, KIND)
    model = as_mteb(_opened(asked, tasks), trained_on=_trained_on(asked.model))
    write_json(output / "card.json", {"kind": KIND})
    for number, score in enumerate(measure(model, tasks, folder=output), 1):
        say(f"{number}/{len(tasks)} {line(score)}")
        yield score


def refuse(scores: Sequence[TaskScore]) -> None:
    """End with an error where tasks failed.

    Raises:
        AnnattoError: it says how many, and why the first did.
    """
    failed = [score for score in scores if score.value is None]
    if failed:
        raise AnnattoError(
            f"{len(failed)} of {len(scores)} tasks failed (first: {failed[0].task}: "
            f"{failed[0].failure}); the same command tries them again and keeps the others."
        )


def line(score: TaskScore) -> str:
    """One score for people.

    >>> from annatto.evaluate.mteb import TaskScore
    >>> line(TaskScore("STS12", "STS", "cosine_spearman", 0.72345, was_kept=True))
    'STS12: cosine_spearman 0.7235 (from an earlier run)'
    """
    if score.value is None:
        return f"{score.task}: failed"
    kept = " (from an earlier run)" if score.was_kept else ""
    return f"{score.task}: {score.measure} {score.value:.4f}{kept}"


def _opened(asked: Asked, tasks: Sequence[Any]) -> Any:
    """The model, with the prompts that were asked for put over the stored ones."""
    from annatto.evaluate.mteb_prompts import check_keys
    from annatto.models.prompts import find

    check_keys(asked.prompts, tasks)
    if asked.model == WORDS or _is_reranker(asked.model):
        if asked.prompts:
            raise UsageError(f"--prompt is for embedding models; {asked.model} is none.")
        return _other(asked.model)
    embedder = load_model({"weights": asked.model, "devices": asked.devices})
    chosen = {key: find(name, embedder.prompts) for key, name in asked.prompts.items()}
    return embedder.variant(prompts=chosen)


def _other(place: str) -> Any:
    if place == WORDS:
        from annatto.index.bm25 import BM25

        return BM25()
    return load_model({"reranker": place})


def _is_reranker(place: str) -> bool:
    from annatto.models.weights import resolve

    return kind_at(resolve(place)) == "reranker"


def _trained_on(place: str) -> list[str] | None:
    from annatto.models.trained_on import trained_on
    from annatto.models.weights import resolve

    return None if place == WORDS else trained_on(resolve(place))


def _cell(value: str | float | None) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
