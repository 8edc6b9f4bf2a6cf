from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from annatto.app.fit import fit
from annatto.core.errors import UsageError


@dataclass(frozen=True)
class Point:
    x: int = 0


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (3, int, 3),
        (3, float, 3.0),
        ("a", Path, Path("a")),
        ("a", str | Path, "a"),
        ("a", Path | None, Path("a")),
        (["a", "b"], Sequence[str], ("a", "b")),
        (["a"], tuple[str, ...], ("a",)),
        ([["a", "b"]], Sequence[tuple[str, str]], (("a", "b"),)),
        ({"a": 1}, Mapping[str, float], {"a": 1.0}),
        ("x", Literal["x", "y"], "x"),
        ({"x": 2}, Point, Point(2)),
    ],
)
def test_values_become_what_the_function_takes(value, kind, expected):
    found = fit(value, kind, "stage 'a': k")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("seven", int, "stage 'a': k must be a whole number; found 'seven'"),
        (True, int, "must be a whole number; found True"),
        (1.5, int, "must be a whole number; found 1.5"),
        (1, bool, "must be true or false; found 1"),
        (1, str, "must be text; found 1"),
        (1, Path, "must be a path"),
        ("a", Sequence[str], "must be a list of text; found 'a'"),
        (3, Mapping[str, float], "must be a table of a number"),
        ([["a"]], Sequence[tuple[str, str]], "must be a list of a list of 2"),
        (3, int | None, None),
        ([], int | str, "must be a whole number or text"),
        ("z", Literal["x", "y"], "k cannot be 'z'; Known: x, y"),
        ({"y": 1}, Point, "k has no setting 'y'; .*Known: x"),
        (3, Point, "must be a Point"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_is_needed(value, kind, message):
    if message is None:
        assert fit(value, kind, "k") == value
        return
    with pytest.raises(UsageError, match=message):
        fit(value, kind, "stage 'a': k")
