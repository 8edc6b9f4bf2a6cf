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
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import UsageError, nearest

SIGNS = ("=", "!=", "<", "<=", ">", ">=")
WORD = re.compile(r"([^<>=!]+)(>=|<=|!=|=|<|>)(.*)", re.DOTALL)
LEAST = -(2**63)
"""Which LanceDB reads as the minus of a number that is too large."""
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
        return " AND ".join(_sql(term) for term in self.terms)

    def milvus(self, fields: Container[str]) -> str:
        """As an expression of Milvus; a column that is none of `fields` is a dynamic one."""
        return " and ".join(_milvus(term, is_field=term.column in fields) for term in self.terms)

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
    try:
        return json.dumps(value, ensure_ascii=True, default=str)[:80]
    except RecursionError:
        return "a value that is nested too deeply"


def _sql(term: Term) -> str:
    name = "`" + term.column.replace("`", "``") + "`"
    given = [_sql_value(one) for one in term.values if one is not None]
    if term.sign not in ("=", "!="):
        is_up = ">" in term.sign and isinstance(term.values[0], float)
        # to LanceDB, NaN is above all numbers
        return f"{name} {term.sign} {given[0]}" + (f" AND NOT isnan({name})" if is_up else "")
    empty = f"{name} IS {'' if term.sign == '=' else 'NOT '}NULL"
    within = f"{name} {'IN' if term.sign == '=' else 'NOT IN'} ({', '.join(given)})"
    if None not in term.values:
        return within
    return f"({empty} {'OR' if term.sign == '=' else 'AND'} {within})" if given else empty


def _sql_value(value: Value) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, int) and value == LEAST:
        return f"CAST('{value}' AS BIGINT)"
    return str(value).lower() if isinstance(value, bool) else repr(value)


_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


def _milvus(term: Term, *, is_field: bool) -> str:
    """A condition for Milvus, on a field, or on a key of the dynamic one.

    There null and absent are the same, and values are compared one by one: not every server takes
    a key before `in`. That there is a value is said beside `!=`, which the absent may fulfil.
    """
    name = term.column if is_field else f"$meta[{_milvus_value(term.column)}]"
    given = [_milvus_value(one) for one in term.values if one is not None]
    if term.sign == "=":
        alike = (
            [f"{name} in [{', '.join(given)}]"] if is_field else [f"{name} == {v}" for v in given]
        )
        empty = f"{name} IS NULL" if is_field else f"(not (exists {name}))"
        either = [*([empty] if None in term.values else []), *(alike if given else [])]
        return f"({' or '.join(either)})"
    if term.sign == "!=":
        there = f"{name} IS NOT NULL" if is_field else f"(exists {name})"
        return f"({' and '.join([there, *(f'{name} != {one}' for one in given)])})"
    return f"{name} {term.sign} {given[0]}"


def _milvus_value(value: Value) -> str:
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPED)}"'
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _expression(term: Term) -> pc.Expression:
    field = pc.field(term.column)
    given = [one for one in term.values if one is not None]
    if term.sign in ("=", "!="):
        empty = field.is_null() if None in term.values else pc.scalar(False)
        equal = empty | field.isin(given) if given else empty
        return equal if term.sign == "=" else field.is_valid() & ~equal
    compare = {"<": field < given[0], "<=": field <= given[0], ">": field > given[0]}
    return compare.get(term.sign, field >= given[0])
