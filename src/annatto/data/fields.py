"""Single fields of a row from outside: an id, a text, a grade, or a sentence on what is wrong."""

from __future__ import annotations

import math
from typing import Any

from annatto.core.errors import SchemaError
from annatto.data.records import Record


def text_id(row: Record, name: str, place: str) -> str:
    """The id of a row as text; whole numbers count as ids too.

    Raises:
        SchemaError: it is missing, empty, or something else.
    """
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        found = f"an empty '{name}'" if value == "" else f"{value!r} as '{name}'"
        raise SchemaError(f"{place} needs an id, but has {found}; give it one of its own.")
    return value


def text_of(row: Record, name: str, place: str) -> str:
    """The text in the field `name`; a missing one or one that is no text is a SchemaError."""
    if name not in row:
        raise SchemaError(
            f"{place} needs the field '{name}'; found {', '.join(row) or 'none'}; add or rename it."
        )
    if not isinstance(row[name], str):
        raise SchemaError(
            f"{place} needs text in the field '{name}', but has {row[name]!r}; write it as a text."
        )
    return str(row[name])


def grade_of(value: Any, place: str) -> float:
    """A grade as a number; anything else is a SchemaError that names `place`."""
    try:
        grade = float(value)
    except (TypeError, ValueError):
        grade = math.nan
    if not math.isfinite(grade):
        raise SchemaError(
            f"{place} needs a number as grade, but has {value!r}; write 1 for relevant, 0 for not."
        )
    return grade
