"""Main scores of models on tasks, read from what evaluators write."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from annatto.core.atomic import read_json
from annatto.core.errors import InputError
from annatto.evaluate.evaluation import Evaluation
from annatto.evaluate.leaderboard import Scores

COLUMNS = ("model", "task", "score")
MAIN = "nDCG@10"
RETRIEVAL = "Retrieval"
BESIDE = ("model_meta.json", "card.json")
"""What lies beside mteb's results: its own note on a model, and ours on the folder."""


class Score(NamedTuple):
    """One model's main score on one task; `type` is empty where it is not known."""

    model: str
    task: str
    value: float
    type: str = ""


def read(places: Sequence[Path]) -> Scores:
    """Read scores from files and folders, and put them into one table.

    Args:
        places: each one of
            - a `.csv` file with the columns model, task, score, and perhaps type; an empty score
              is a missing one;
            - a folder that `annatto evaluate` wrote: its systems on one retrieval task, named as
              the folder, by nDCG@10;
            - a folder of mteb's results, `MODEL/REVISION/TASK.json`, at any depth: the mean of the
              main scores over splits and subsets.

    Raises:
        InputError: a place that is none of these, a score that is no number, or one that is there
            twice with different values.
    """
    rows = [row for place in places for row in _rows(Path(place))]
    models = tuple(dict.fromkeys(row.model for row in rows))
    tasks = tuple(dict.fromkeys(row.task for row in rows))
    values = np.full((len(models), len(tasks)), np.nan)
    for row in rows:
        at = models.index(row.model), tasks.index(row.task)
        if not np.isnan(values[at]) and values[at] != row.value:
            raise InputError(
                f"{row.model} has two scores on {row.task}, {values[at]:g} and {row.value:g}; "
                "keep one of them, or give the model or the task (a folder of annatto evaluate is "
                "named as the folder) another name."
            )
        values[at] = row.value
    return Scores(models, tasks, values, {row.task: row.type for row in rows if row.type})


def _rows(place: Path) -> Iterator[Score]:
    if place.suffix == ".csv" and place.is_file():
        yield from _of_csv(place)
    elif (place / "scores.parquet").is_file():
        found = Evaluation.load(place)
        for system in found.systems:
            mean = float(found.values(system, MAIN).mean())
            yield Score(system, place.resolve().name, mean, RETRIEVAL)
    elif files := sorted(path for path in place.rglob("*.json") if path.name not in BESIDE):
        yield from map(_of_mteb, files)
    else:
        raise InputError(
            f"{place} holds no results; needed is a .csv file with the columns "
            f"{', '.join(COLUMNS)}, a folder of annatto evaluate, or a folder of mteb's results."
        )


def _of_csv(path: Path) -> Iterator[Score]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets put a mark in front
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text ({error}); save it as UTF-8.") from error
    lines = csv.DictReader(text.splitlines())
    names = lines.fieldnames or ()
    if lost := [name for name in COLUMNS if name not in names]:
        found = ", ".join(names) or "an empty file"
        raise InputError(f"{path} needs the column '{lost[0]}'; found {found}.")
    for number, line in enumerate(lines, start=2):
        where = f"{path}, line {number}"
        if not line["model"] or not line["task"]:
            raise InputError(f"{where} needs a model and a task; mend it.")
        yield Score(line["model"], line["task"], _score(line["score"], where), line.get("type", ""))


def _of_mteb(path: Path) -> Score:
    said = read_json(path)
    if not isinstance(said, dict) or not isinstance(said.get("scores"), dict):
        raise InputError(f"{path} is no result of mteb (it has no scores); leave it out.")
    splits = [split for split in said["scores"].values() if isinstance(split, list)]
    parts: list[Any] = [part for split in splits for part in split if isinstance(part, dict)]
    found = [_number(part.get("main_score"), str(path)) for part in parts]
    if not found or not said.get("task_name"):
        raise InputError(
            f"{path} holds no task's name or no main score; measure the task again, or leave it "
            "out."
        )
    return Score(path.parent.parent.name, str(said["task_name"]), float(np.mean(found)))


def _score(said: str | None, where: str) -> float:
    """The number, or NaN where the cell is empty."""
    return _number(said, where) if said else math.nan


def _number(said: Any, where: str) -> float:
    refusal = f"{where}: the score '{said}' is no number; mend it."
    try:
        value = float(said)
    except (TypeError, ValueError) as error:
        raise InputError(refusal) from error
    if not math.isfinite(value):
        raise InputError(refusal)
    return value
