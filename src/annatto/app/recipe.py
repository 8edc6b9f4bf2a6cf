"""Read a recipe: models, and named stages that each say what they use and what they read.

    [models.minilm]
    weights = "minilm"

    [[stage]]
    name = "pool"
    use = "mine.pool.pool"
    inputs = {collection = "pairs", encoders = ["minilm"]}
    depth = 50

Here only the shape is read; `app.bind` checks it against the functions it names.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from annatto.core.errors import InputError, UsageError, nearest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
RESERVED = ("state", "work")
MODEL_KINDS = {
    "weights": "model",
    "llm": "language model",
    "reranker": "scorer",
    "likelihood": "scorer",
    "reader": "reader",
}
"""What `[models.NAME]` holds, by the key that says where it is."""
Reference = str | tuple[str, ...] | Mapping[str, str]
"""What a parameter reads: one stage or model, several, or several under names of their own."""


@dataclass(frozen=True)
class Stage:
    """One `[[stage]]` of a recipe, as it was written.

    Attributes:
        name: of its output, too: RUN/name.
        use: a function's place, without `annatto.` before it.
        inputs: parameter to what it reads.
        settings: parameter to value.
    """

    name: str
    use: str
    inputs: Mapping[str, Reference]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """Models to load and stages to run, in order.

    Attributes:
        place: where it was read from; messages name it.
        models: name to the arguments of what loads it; see `app.artefacts.load_model`.
        stages: at least one.
    """

    place: str
    models: Mapping[str, Mapping[str, Any]]
    stages: tuple[Stage, ...]


def place_key(settings: Mapping[str, Any]) -> str:
    """The key of MODEL_KINDS that says where a model is; empty when there is none."""
    return next((key for key in MODEL_KINDS if key in settings), "")


def find(name: str) -> Path:
    """The file of a recipe: a path, or the name of one that annatto brings along.

    Raises:
        UsageError: there is neither such a file nor such a name.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = {file.stem: file for file in sorted(_folder().glob("*.toml"))}
    if name in shipped:
        return shipped[name]
    raise UsageError(f"there is no recipe file {name}; {nearest(name, shipped)} (brought along).")


def read(path: Path) -> Recipe:
    """Read a recipe file.

    Raises:
        InputError: it cannot be read.
        UsageError: it is not TOML (the line is named), or has a table or key that no recipe has,
            a name twice, or no stage.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the recipe {path} ({error}); name a TOML file.") from error
    return parse(content, place=path.name)


def parse(content: str, *, place: str = "recipe") -> Recipe:
    """Read a recipe from text; `place` is what messages call it."""
    try:
        tables = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{place} is not valid TOML: {error}.") from error
    _only(tables, ("models", "stage"), place)
    models = _tables(tables.get("models", {}), f"{place}: [models]")
    for name, settings in models.items():
        _named(name, f"{place}: [models.{name}]")
        if not isinstance(settings.get(place_key(settings)), str):
            raise UsageError(
                f'{place}: [models.{name}] needs weights = "NAME OR FOLDER" '
                '(or llm = "URL OR WEIGHTS"; for a scorer reranker or likelihood; or reader).'
            )
    written = tables.get("stage", [])
    if not isinstance(written, list) or not written:
        raise UsageError(f"{place} has no stage; begin one with [[stage]].")
    stages = tuple(_stage(table, i, place) for i, table in enumerate(written, start=1))
    _refuse_twice([*models, *(stage.name for stage in stages)], place)
    return Recipe(place, models, stages)


def _stage(table: Any, number: int, place: str) -> Stage:
    where = f"{place}: stage {number}"
    if not isinstance(table, Mapping):
        raise UsageError(f"{where} must be a table; begin it with [[stage]].")
    for key in ("name", "use"):
        if not isinstance(table.get(key), str):
            raise UsageError(f'{where} needs {key} = "…"; found {table.get(key)!r}.')
    _named(table["name"], where)
    inputs = table.get("inputs", {})
    if not isinstance(inputs, Mapping):
        raise UsageError(
            f"{where} ('{table['name']}'): inputs must be a table, such as {{a = 'b'}}."
        )
    return Stage(
        name=table["name"],
        use=table["use"],
        inputs={key: _reference(value, key, where) for key, value in inputs.items()},
        settings={k: v for k, v in table.items() if k not in ("name", "use", "inputs")},
    )


def _reference(value: Any, key: str, where: str) -> Reference:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value.values()):
        return dict(value)
    raise UsageError(
        f"{where}: inputs.{key} must be the name of a stage or model, a list of names, or a table "
        f"of names; found {value!r}."
    )


def _named(name: str, where: str) -> None:
    if not NAME.fullmatch(name) or name in RESERVED:
        raise UsageError(
            f"{where}: '{name}' cannot be a name; use letters, digits, - and _, and not "
            f"{' or '.join(RESERVED)}."
        )


def _only(table: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{place} has an unknown table '{key}'; {nearest(key, known)}.")


def _tables(value: Any, where: str) -> dict[str, Mapping[str, Any]]:
    if not isinstance(value, Mapping) or not all(isinstance(v, Mapping) for v in value.values()):
        raise UsageError(f"{where} must hold tables, such as [models.minilm].")
    return dict(value)


def _refuse_twice(names: list[str], place: str) -> None:
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise UsageError(f"{place}: the name '{twice[0]}' is given twice; rename one of them.")


def _folder() -> Path:
    """The recipes inside the installed package, or beside it in a checkout."""
    inside = Path(str(files("annatto"))) / "recipes"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "recipes"
