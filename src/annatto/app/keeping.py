"""The forgetting check around training: other tasks before and after, said beside the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annatto.app.artefacts import load_model
from annatto.core.atomic import new_file, write_json
from annatto.core.errors import InputError
from annatto.core.tables import concat
from annatto.core.types import Collection

if TYPE_CHECKING:
    from annatto.evaluate.evaluation import Evaluation

PAGE, FIGURES = "keep.md", "keep.json"
NOTHING = "nothing was clearly forgotten: no task of the keep-suite fell beyond its interval."


def suite_of(folders: Mapping[str, str]) -> Collection:
    """The built-in keep-suite, and tasks of these folders (task name to folder).

    Raises:
        InputError: a folder holds no task, or Python's library is not installed with its source.
        UsageError: a name twice.
    """
    from annatto.data.keep import suite

    return suite(folders={name: Path(folder) for name, folder in folders.items()})


def checker(folders: Mapping[str, str], start: Mapping[str, Any]) -> Callable[[Path], str]:
    """Make the suite now, before anything is trained, and give what checks a model's folder.

    Args:
        folders: see `suite_of`.
        start: see `check_beside`.

    Raises:
        InputError: as in `suite_of`; the message says how to train without the check.
    """
    try:
        suite = suite_of(folders)
    except InputError as error:
        said = str(error).rstrip(".")
        raise InputError(f"{said}; or train without the forgetting check: --no-keep.") from error
    return partial(check_beside, suite, start)


def measured(suite: Collection, models: Mapping[str, Mapping[str, Any]]) -> Evaluation:
    """Every model on every task; one model is in memory at a time.

    Args:
        suite: see `suite_of`.
        models: what a system is called to what loads it.
    """
    from annatto.evaluate.keep import measure

    found = [measure(suite, {name: load_model(how)}) for name, how in models.items()]
    dtypes = {name: dtype for one in found for name, dtype in one.notes["dtypes"].items()}
    notes = {**found[0].notes, "systems": list(models), "dtypes": dtypes}
    return replace(found[0], scores=concat([one.scores for one in found]), notes=notes)


def check_beside(suite: Collection, start: Mapping[str, Any], model: Path) -> str:
    """Measure a model and what it was trained from; write keep.md and keep.json into its folder.

    Args:
        suite: see `suite_of`.
        start: what loads the model that training began with.
        model: the folder of the trained model, read as `start` is.

    Returns:
        The first line of keep.md: what was forgotten, with the remedy, or that nothing was.
    """
    from annatto.evaluate.forgetting import changes, lines, warning

    before, after = str(start["weights"]), str(model)
    how = {"weights": after, "dtype": start.get("dtype", "float32")}
    found = measured(suite, {"before": start, "after": how})
    moved = changes(found, "after", "before")
    first = warning(moved, after, before) or f"{after}: {NOTHING}"
    dtypes = " and ".join(sorted(set(found.notes["dtypes"].values())))
    page = [first, "", *lines(moved, after, before), "", f"Computed in {dtypes}."]
    with new_file(model / PAGE) as place:
        place.write_text("\n".join(page) + "\n", encoding="utf-8")
    told = {"headline": first, "tasks": [asdict(one) for one in moved], "notes": dict(found.notes)}
    write_json(model / FIGURES, told)
    return first
