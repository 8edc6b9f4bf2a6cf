"""Values read from a recipe, made to fit what a function's parameter says it takes."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from annatto.core.errors import UsageError, a, nearest


class _Misfit(Exception):
    """The value is of another type; `fit` says which."""


def fit(value: Any, kind: Any, where: str) -> Any:
    """`value` as the type `kind`: whole numbers pass as float, lists as tuples, text as Path.

    Raises:
        UsageError: it does not fit; `where` names the setting.
    """
    try:
        return _fit(value, kind, where)
    except _Misfit:
        raise UsageError(f"{where} must be {_said(kind)}; found {value!r}.") from None


def _fit(value: Any, kind: Any, where: str) -> Any:
    if kind is Any:
        return value
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _first(value, get_args(kind), where)
    if origin is Literal:
        return _choice(value, get_args(kind), where)
    if origin is tuple and get_args(kind)[-1] is not Ellipsis:
        return _fixed(value, get_args(kind), where)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _table(value, get_args(kind)[1], where)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return _several(value, get_args(kind)[0], where)
    if dataclasses.is_dataclass(kind):
        return _fields(value, kind, where)
    return _plain(value, kind)


def _plain(value: Any, kind: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind in (bool, int, float, str) and type(value) is kind:
        return value
    raise _Misfit


def _first(value: Any, kinds: tuple[Any, ...], where: str) -> Any:
    """The first of several types that fits; text stays text where both text and Path are taken."""
    for kind in sorted(kinds, key=lambda kind: kind is Path):
        try:
            return _fit(value, kind, where)
        except _Misfit:
            continue
    raise _Misfit


def _choice(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    if value not in choices:
        raise UsageError(f"{where} cannot be {value!r}; {nearest(str(value), map(str, choices))}.")
    return value


def _fixed(value: Any, kinds: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple) or len(value) != len(kinds):
        raise _Misfit
    return tuple(_fit(v, kind, where) for v, kind in zip(value, kinds, strict=True))


def _several(value: Any, kind: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _Misfit
    return tuple(_fit(v, kind, where) for v in value)


def _table(value: Any, kind: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _Misfit
    return {name: _fit(v, kind, where) for name, v in value.items()}


def _fields(value: Any, kind: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise _Misfit
    hints = get_type_hints(kind)
    for name in value:
        if name not in hints:
            raise UsageError(f"{where} has no setting '{name}'; {nearest(name, hints)}.")
    return kind(**{name: fit(v, hints[name], f"{where}.{name}") for name, v in value.items()})


def _said(kind: Any) -> str:
    """A type in words.

    >>> _said(int), _said(Sequence[str])
    ('a whole number', 'a list of text')
    """
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    if kind in words or kind is Path:
        return words.get(kind, "a path")
    origin, inner = get_origin(kind), [k for k in get_args(kind) if k is not Ellipsis]
    if origin in (Union, types.UnionType):
        return " or ".join(_said(k) for k in inner if k is not type(None))
    if origin is tuple and get_args(kind)[-1] is not Ellipsis:
        return f"a list of {len(inner)} ({', '.join(map(_said, inner))})"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a table of {_said(inner[1])}"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f"a list of {_said(inner[0])}"
    return a(getattr(kind, "__name__", str(kind)))
