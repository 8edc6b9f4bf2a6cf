"""The demonstration: run its recipe, show what came out, search with it."""

from __future__ import annotations

import platform
import resource
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annatto.app.ask import ask, shown
from annatto.app.console import result, say, show, table
from annatto.app.measuring import grid, records, sentence
from annatto.app.recipe import find, read
from annatto.app.run import execute
from annatto.core.atomic import read_json

QUESTIONS = (
    "split a command line into words as a shell does",
    "remove a folder with everything in it",
    "greatest common divisor of two whole numbers",
)
GOOD_MINUTES = 12.0
"""What the whole demonstration takes at GOOD_SPEED."""
GOOD_SPEED = 800.0
"""Billion bf16 operations per second of two cores when nobody else uses the machine."""


def demonstrate(folder: Path, *, quick: bool, as_json: bool = False) -> None:
    """Run the demonstration's recipe in `folder` and show the result.

    Args:
        folder: a run; what is there already is kept.
        quick: the toy recipe: the same path in a minute, with a random model that learns nothing.
        as_json: print the result as one JSON value (`outcome`).

    Raises:
        WeightsError: the models are not on this machine; nothing was run.
    """
    recipe = read(find("toy" if quick else "demo"))
    if quick:
        say("about a minute; the model is tiny and random: this shows the path, not quality")
    else:
        speed = matmul_speed()
        say(
            f"about {minutes_at(speed):.0f} minutes at this machine's present speed "
            f"({speed:.0f} bf16 GFLOP/s); stopped or killed, the same command goes on"
        )
    places = execute(recipe, folder)
    if as_json:
        result(outcome(folder, places), "", as_json=True)
        return
    show_result(places["evaluation"], places["report"])
    show_searches(places["index"])
    show_seconds(folder)


def outcome(folder: Path, places: Mapping[str, Path]) -> dict[str, Any]:
    """All that the demonstration shows, for machines; seconds by stage, memory in GiB."""
    from annatto.evaluate.evaluation import Evaluation

    found = Evaluation.load(places["evaluation"])
    hits = ask(places["index"], QUESTIONS, k=3, mode="dense")
    return {
        "places": {name: str(place) for name, place in places.items()},
        "python": platform.python_version(),
        "collection": found.notes["collection"],
        "systems": records(found),
        "comparisons": read_json(places["report"] / "report.json")["comparisons"],
        "searches": [
            {"text": text, "hits": [hit for hit in hits if hit["query"] == number]}
            for number, text in enumerate(QUESTIONS)
        ],
        "seconds": read_json(folder / "timing.json"),
        "memory": memory(),
    }


def minutes_at(speed: float) -> float:
    """How long the demonstration takes at `speed` (GFLOP/s); the work outside models is little.

    >>> minutes_at(400.0)
    24.0
    """
    return GOOD_MINUTES * GOOD_SPEED / speed


def matmul_speed() -> float:
    """Billion operations per second of a bf16 matrix product of a model's size: median of nine."""
    import torch

    left = torch.ones(2048, 576, dtype=torch.bfloat16)
    right = torch.ones(576, 1536, dtype=torch.bfloat16)
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - start)
    return 2 * 2048 * 576 * 1536 / statistics.median(seconds) / 1e9


def show_result(evaluation: Path, report: Path) -> None:
    """The table of all systems, and each comparison as a sentence."""
    from annatto.evaluate.evaluation import Evaluation

    found = Evaluation.load(evaluation)
    sizes = found.notes["sizes"]
    title = (
        f"{sizes['queries']:,} held-out queries, {sizes['documents']:,} documents; mean and 95 % "
        "interval, higher is better"
    )
    table(title, *grid(found))
    for one in read_json(report / "report.json")["comparisons"]:
        show(sentence(one))
    show(f"Python {platform.python_version()}, collection {found.notes['collection'][:16]}")
    show(f"plots and figures: {report / 'report.html'}")


def show_searches(index: Path) -> None:
    """The best three hits of three questions, by meaning alone."""
    hits = ask(index, QUESTIONS, k=3, mode="dense")
    for number, question in enumerate(QUESTIONS):
        show(f'\n$ annatto search {index} "{question}" --mode dense')
        for hit in hits:
            if hit["query"] == number:
                show(shown(hit))


def show_seconds(folder: Path) -> None:
    """Seconds per stage, their sum, and the most memory this process held."""
    seconds = read_json(folder / "timing.json")
    listed = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
    total = sum(seconds.values())
    show(f"\nseconds: {listed}; together {total:.0f}; memory {memory():.1f} GiB")


def memory() -> float:
    """The most memory this process held, in GiB."""
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
