"""Which stored prompt a text of an mteb task is shown with."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple, get_args

from annatto.core.errors import UsageError, nearest

SIDES = ("query", "document")
SEARCHED = frozenset({"Retrieval", "Reranking", "InstructionRetrieval", "InstructionReranking"})
"""Types of tasks whose texts are queries and documents; texts of all others are alike."""


class Shown(NamedTuple):
    """The stored prompts of one task; `document` is that of every text where they are alike."""

    task: str
    kind: str
    query: str
    document: str


def stored_name(stored: Container[str], *, task: str, kind: str, side: str | None) -> str:
    """The name of the stored prompt that a text is shown with.

    mteb's order: the task with the side, the task, its type with the side, its type, the side. What
    is no document is looked for under our own names, too (`query/STS`). Texts of a task without
    sides are read as documents unless a prompt is stored for the task or its type.

    Args:
        stored: names of prompts, `query` and `document` among them.
        task: mteb's name of the task, such as `Banking77Classification`.
        kind: its type, such as `Classification`.
        side: `query`, `document`, or None.

    >>> stored_name({"query", "document", "query/STS"}, task="STS12", kind="STS", side=None)
    'query/STS'
    """
    names = []
    for word in (task, kind):
        names += [f"{word}-{side}"] if side else []
        names += [word] if side == "document" else [word, f"query/{word}"]
    return next((name for name in names if name in stored), side or "document")


def shown(stored: Container[str], tasks: Iterable[Any]) -> list[Shown]:
    """The prompts of mteb tasks, without loading any data."""
    rows = []
    for task in tasks:
        name, kind = task.metadata.name, task.metadata.type
        sides = SIDES if kind in SEARCHED else _own_sides(task)
        found = [stored_name(stored, task=name, kind=kind, side=side) for side in sides]
        rows.append(Shown(name, kind, *found))
    return rows


def _own_sides(task: Any) -> tuple[str | None, str | None]:
    """What a task says that the first and the second of its pairs are; None where it does not."""
    first, second = (getattr(task, f"input{i}_prompt_type", None) for i in (1, 2))
    return first and first.value, second and second.value


def check_keys(asked: Mapping[str, str], tasks: Iterable[Any]) -> None:
    """Refuse a prompt for something that is no task of these and no type of mteb's.

    Args:
        asked: a task's name or type, `-query` or `-document` behind it or not, to a stored prompt.
        tasks: mteb tasks.

    Raises:
        UsageError: it names the nearest.
    """
    from mteb.abstasks.task_metadata import TaskType

    known = {*get_args(TaskType), *(task.metadata.name for task in tasks)}
    for key in asked:
        word, _, side = key.rpartition("-")
        if key not in known and not (side in SIDES and word in known):
            raise UsageError(
                f"a prompt is to be shown for '{key}', which is neither one of the tasks nor a "
                f"type of task; {nearest(key, known)}."
            )
