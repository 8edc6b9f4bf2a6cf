"""Conditions on documents' columns: read from JSON or from words, written for each database.

{"year": {">=": 2000, "<": 2010}, "source": ["a.md", "b.md"], "draft": false}
year>=2000 year<2010 source=a.md source=b.md draft=false

All conditions must hold. A document without a value fulfils none but equality with null. Column
names are looked up among the documents' own, and values are of the column's type, so that nothing
of what a user says is ever read as part of an expression.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import UsageError, nearest

SIGNS = ("=", "!=", "<", "<=", ">", ">=")
WORD = re.compile(r"([^<>=!]+)(>=|<=|!=|=|<|>)(.*)", re.DOTALL)
TRUTH = {"true": True, "false": False}

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Term:
    """One condition.

    Attributes:
        column: a column of the documents.
        sign: one of `SIGNS`.
        values: = and != may have several: any of them, none of them; null among them means no
            value. The others have one.
    """

    column: str
    sign: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Where:
    """Conditions that must all hold; made by `read_where`."""

    terms: tuple[Term, ...]

    def sql(self) -> str:
        """As SQL, with columns in backticks, for LanceDB."""
        return " AND ".join(_written(term, _sql_column, _sql_value, _SQL) for term in self.terms)

    def milvus(self) -> str:
        """As an expression of Milvus."""
        return " and ".join(_written(term, str, _milvus_value, _MILVUS) for term in self.terms)

    def expression(self) -> pc.Expression:
        """As an expression of pyarrow."""
        found = [_expression(term) for term in self.terms]
        whole = found[0]
        for one in found[1:]:
            whole = whole & one
        return whole


def read_where(
    said: Mapping[str, Any] | Sequence[str], schema: pa.Schema, place: str
) -> Where | None:
    """What a user said as conditions; None when nothing was said.

    Args:
        said: JSON, or words such as `year>=2000`; a column with several `=` words may have any of
            their values.
        schema: of the documents.
        place: where they are, for messages.

    Raises:
        UsageError: an unknown column or sign, or a value that is none of the column's.

    >>> schema = pa.schema([("year", pa.int64()), ("source", pa.string())])
    >>> read_where({"year": {">=": 2000}, "source": ["a", "b"]}, schema, "docs").sql()
    "`year` >= 2000 AND `source` IN ('a', 'b')"
    >>> read_where(["source=it's"], schema, "docs").sql()
    "`source` IN ('it''s')"
    """
    if isinstance(said, Mapping):
        raw = [
            (column, sign, value)
            for column, wanted in said.items()
            for sign, value in (wanted if isinstance(wanted, Mapping) else {"=": wanted}).items()
        ]
    else:
        raw = _from_words(said)
    terms = [_term(column, sign, value, schema, place) for column, sign, value in raw]
    return Where(tuple(terms)) if terms else None


def _from_words(words: Sequence[str]) -> list[tuple[str, str, Any]]:
    """Column, sign and texts of each word; all the `=` of a column together."""
    found: list[tuple[str, str, Any]] = []
    equal: dict[str, list[str]] = {}
    for word in words:
        parts = WORD.fullmatch(word)
        if not parts:
            raise UsageError(
                f"a condition is a column, one of {' '.join(SIGNS)}, and a value, such as "
                f"year>=2000; found '{word}'."
            )
        column, sign, text = parts[1].strip(), parts[2], parts[3]
        if sign != "=":
            found.append((column, sign, _Text(text)))
        elif column in equal:
            equal[column].append(_Text(text))
        else:
            equal[column] = [_Text(text)]
            found.append((column, sign, equal[column]))
    return found


class _Text(str):
    """A value as it was typed, to be read as the column's type."""


def _term(column: str, sign: str, value: Any, schema: pa.Schema, place: str) -> Term:
    if column not in schema.names:
        known = nearest(column, schema.names)
        raise UsageError(f"the documents of {place} have no column '{column}'; {known}.")
    if sign not in SIGNS:
        raise UsageError(
            f"a condition on '{column}' needs one of {' '.join(SIGNS)}; found '{sign}'."
        )
    several = isinstance(value, list | tuple)
    if sign not in ("=", "!=") and (several or value is None):
        raise UsageError(f"'{column}' {sign} needs one value; found {_shown(value)}.")
    if several and not value:
        raise UsageError(f"a condition on '{column}' needs at least one value; found none.")
    kind = schema.field(column).type
    values = [_value(one, kind, column, place) for one in (value if several else [value])]
    return Term(column, sign, tuple(dict.fromkeys(values)))


def _value(value: Any, kind: pa.DataType, column: str, place: str) -> Value:
    """A value as one of the column's type; a float32 column's are rounded as its own are."""
    types = pa.types
    wrong = UsageError(
        f"the column '{column}' of {place} holds {kind}; it cannot be compared with "
        f"{_shown(value)}."
    )
    if value is None:
        return None
    if types.is_boolean(kind):
        found = TRUTH.get(value.lower()) if isinstance(value, _Text) else value
        if isinstance(found, bool):
            return found
    elif types.is_string(kind) or types.is_large_string(kind):
        if isinstance(value, str) and _is_plain(value):
            return str(value)
    elif types.is_integer(kind):
        whole = _number(value, int)
        bounds = np.iinfo(kind.to_pandas_dtype())
        if whole is not None and bounds.min <= whole <= bounds.max:
            return int(whole)
    elif types.is_floating(kind):
        number = _number(value, float)
        if number is not None and math.isfinite(number):
            return float(kind.to_pandas_dtype()(number))
    raise wrong


def _number(value: Any, read: Callable[[Any], float]) -> float | None:
    """A number of that kind; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | _Text):
        return None
    try:
        found = read(value)
    except (ValueError, OverflowError):
        return None
    return found if isinstance(value, _Text) or found == value else None


def _is_plain(text: str) -> bool:
    """Whether a text can be told to a database: Unicode without a null byte."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, default=str)[:80]


_SQL = {"in": "IN", "not in": "NOT IN", "(": "(", ")": ")", "=": "=", "or": "OR", "and": "AND"}
_MILVUS = {"in": "in", "not in": "not in", "(": "[", ")": "]", "=": "==", "or": "or", "and": "and"}


def _written(
    term: Term, column: Callable[[str], str], value: Callable[[Value], str], words: dict[str, str]
) -> str:
    name = column(term.column)
    given = [value(one) for one in term.values if one is not None]
    if term.sign not in ("=", "!="):
        return f"{name} {term.sign} {given[0]}"
    listed = f"{words['(']}{', '.join(given)}{words[')']}"
    empty = f"{name} IS {'' if term.sign == '=' else 'NOT '}NULL"
    within = f"{name} {words['in' if term.sign == '=' else 'not in']} {listed}"
    if None not in term.values:
        return within
    joint = words["or" if term.sign == "=" else "and"]
    return f"({empty} {joint} {within})" if given else empty


def _sql_column(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _sql_value(value: Value) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _milvus_value(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False)


def _expression(term: Term) -> pc.Expression:
    field = pc.field(term.column)
    given = [one for one in term.values if one is not None]
    if term.sign in ("=", "!="):
        empty = field.is_null() if None in term.values else pc.scalar(False)
        equal = empty | field.isin(given) if given else empty
        return equal if term.sign == "=" else field.is_valid() & ~equal
    compare = {"<": field < given[0], "<=": field <= given[0], ">": field > given[0]}
    return compare.get(term.sign, field >= given[0])
