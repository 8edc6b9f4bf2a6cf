"""Benchmarks of mteb: which tasks they have, and one score after another as they come.

mteb measures; models come to it through `evaluate.mteb_identity.as_mteb`. Results lie in mteb's own
layout, FOLDER/results/MODEL/REVISION/TASK.json, so that its tools read them, too. Names, tasks and
prompts are known offline; mteb downloads the data of its tasks, which is untested here.

Paper: Enevoldsen et al., MMTEB: Massive Multilingual Text Embedding Benchmark, 2025,
    arXiv:2502.13595; the protocols of its types of tasks are run by mteb, its authors' library.
Differs: which stored prompt a text is shown with (`evaluate.mteb_prompts`), and that results of
    other data than the task has now are not used again, are our choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from annatto.core.errors import MissingExtra, UsageError, nearest


class TaskScore(NamedTuple):
    """What came of one task.

    Attributes:
        task: mteb's name.
        kind: its type, such as `STS`.
        measure: the name of its main score; higher is better.
        value: the mean of the main score over splits and languages; mteb keeps six digits of it
            for later calls. None where the task failed.
        was_kept: it was measured by an earlier call, and nothing was encoded for it now.
        failure: why there is no value; empty if there is one.
    """

    task: str
    kind: str
    measure: str
    value: float | None
    was_kept: bool = False
    failure: str = ""


def find_tasks(names: Sequence[str]) -> list[Any]:
    """The tasks of benchmarks and single tasks, in order, each once; nothing is downloaded.

    Args:
        names: of benchmarks, such as `MTEB(eng, v2)`, and of tasks, such as `STSBenchmark`.

    Returns:
        mteb tasks, with the splits and languages that their benchmark uses.

    Raises:
        MissingExtra: mteb is not installed.
        UsageError: mteb has neither a benchmark nor a task of that name.
    """
    mteb = _mteb()
    benchmarks = {one.name: one for one in mteb.get_benchmarks()}
    tasks = known_tasks()
    found: dict[str, Any] = {}
    for name in names:
        if name not in benchmarks and name not in tasks:
            raise UsageError(
                f"mteb has neither a benchmark nor a task called '{name}'; "
                f"{nearest(name, [*benchmarks, *tasks])}."
            )
        part = benchmarks[name].tasks if name in benchmarks else [mteb.get_task(name)]
        found |= {task.metadata.name: task for task in part if task.metadata.name not in found}
    return list(found.values())


def known_tasks() -> dict[str, str]:
    """The name of every task of mteb, older versions included, to its type."""
    _mteb()
    from mteb.get_tasks import TASK_LIST

    return {task.metadata.name: task.metadata.type for task in TASK_LIST}


def measure(model: Any, tasks: Sequence[Any], *, folder: Path) -> Iterator[TaskScore]:
    """Measure a model on tasks, one after the other; stopped or killed, the same call goes on.

    A task that fails is told and does not stop the others; it is tried again by the next call.

    Args:
        model: from `as_mteb`, or anything else that mteb takes.
        tasks: mteb's (`find_tasks`), or Collections as tasks (`mteb_collection.retrieval_task`).
        folder: where results are kept and found again, of any number of models.

    Yields:
        One for each task, as soon as it is known.
    """
    mteb = _mteb()
    cache = mteb.ResultCache(folder)
    for task in tasks:
        about = task.metadata
        kept = cache.load_task_result(about.name, model.mteb_model_meta)
        is_same = kept is not None and kept.dataset_revision == about.dataset["revision"]
        is_whole = is_same and not kept.get_missing_evaluations(task)
        found = mteb.evaluate(
            model,
            task,
            cache=cache,
            overwrite_strategy="only-missing" if is_same else "always",
            raise_error=False,
            show_progress_bar=False,
        )
        told = about.name, about.type, about.main_score
        if found.task_results:
            value = float(found.task_results[0].get_score())
            yield TaskScore(*told, value, was_kept=is_whole)
        else:
            yield TaskScore(*told, None, failure=found.exceptions[0].exception)


def _mteb() -> Any:
    try:
        import mteb
    except ImportError as error:
        raise MissingExtra("a benchmark of mteb", "mteb") from error
    return mteb
