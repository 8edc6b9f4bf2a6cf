"""Check a recipe against the functions it names, before anything is run.

A parameter of a stage function is one of three things:

- what it reads (annotated Collection, Encoder, Scorer, LLM, Evaluation, …, or several of them),
  named in `inputs`; the first one left out is the output of the stage before, if that fits;
- a setting (anything else), a key of the stage; the fields of a frozen dataclass called `settings`
  are keys of the stage, too;
- a place the runner gives: `work` (a scratch folder that survives a kill), `folder` (where the
  function writes its output itself), `weights` (how the model it was given can be loaded again),
  `evaluate` (scores a model on the dev split of the collection that the function reads).
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from annatto.app.artefacts import loader
from annatto.app.fit import fit
from annatto.app.judges import check_llm
from annatto.app.recipe import MODEL_KINDS, Recipe, Reference, Stage, place_key
from annatto.core.errors import UsageError, a, nearest

PACKAGES = ("data", "mine", "train", "evaluate", "index")
PLACES = ("work", "folder", "weights", "evaluate")
KINDS = {
    "Collection": "collection",
    "Encoder": "model",
    "TokenEncoder": "model",
    "Embedder": "model",
    "Evaluation": "evaluation",
    "LLM": "language model",
    "Scorer": "scorer",
    "Reranker": "scorer",
    "Reader": "reader",
    "SpanReader": "reader",
}
"""What a type's name means to a recipe; every other type is a setting."""


@dataclass(frozen=True)
class Call:
    """A stage whose function is known and whose inputs and settings fit it.

    Attributes:
        stage: as it was written.
        function: what to call.
        version: of the function: `VERSION` of its module, 1 when there is none.
        inputs: parameter to stage or model names.
        settings: parameter to value, as given and checked.
        resolved: every setting with its value, defaults included; for people and for the key.
        paths: settings that may name files; their content counts, too.
        places: which of PLACES the function takes.
        gives: kind of its output: `collection`, `model`, `scorer`, `reader`, `evaluation` or
            `folder`.
    """

    stage: Stage
    function: Callable[..., Any]
    version: int
    inputs: Mapping[str, Reference]
    settings: Mapping[str, Any]
    resolved: Mapping[str, Any]
    paths: tuple[str, ...]
    places: tuple[str, ...]
    gives: str

    def reads(self) -> tuple[str, ...]:
        """The names of all stages and models it reads."""
        return tuple(name for reference in self.inputs.values() for name in names(reference))


def names(reference: Reference) -> tuple[str, ...]:
    """The stages and models in one reference."""
    if isinstance(reference, str):
        return (reference,)
    return tuple(reference.values()) if isinstance(reference, Mapping) else reference


def bind(recipe: Recipe) -> tuple[Call, ...]:
    """Check every model and stage of a recipe.

    Raises:
        UsageError: an unknown function, input or setting (the nearest right name is given), a value
            or an input of the wrong type, or a stage that reads a later one.
    """
    for name, settings in recipe.models.items():
        _check_model(settings, f"{recipe.place}: [models.{name}]")
    known = {name: MODEL_KINDS[place_key(settings)] for name, settings in recipe.models.items()}
    calls: list[Call] = []
    for stage in recipe.stages:
        later = [other.name for other in recipe.stages if other.name not in known]
        call = _bind(stage, known, calls[-1] if calls else None, later)
        calls.append(call)
        known[stage.name] = call.gives
    return tuple(calls)


def _bind(stage: Stage, known: Mapping[str, str], before: Call | None, later: list[str]) -> Call:
    where = f"stage '{stage.name}' ({stage.use})"
    function = find_function(stage.use, f"stage '{stage.name}'")
    hints = get_type_hints(function)
    parameters = list(inspect.signature(function).parameters.values())
    readable = {
        p.name: p for p in parameters if p.name not in PLACES and kind_of(hints.get(p.name))
    }
    for name, reference in stage.inputs.items():
        if name not in readable:
            raise UsageError(f"{where} reads no '{name}'; {nearest(name, readable)}.")
        _check_reference(reference, hints[name], known, later, f"{where}: {name}")
    inputs = {**_default(stage, readable, hints, before), **stage.inputs}
    missing = [n for n, p in readable.items() if n not in inputs and p.default is p.empty]
    if missing:
        raise UsageError(
            f'{where} needs inputs = {{{missing[0]} = "…"}}: {a(str(kind_of(hints[missing[0]])))}; '
            f"{nearest(missing[0], known)}."
        )
    settings, resolved = _settings(stage, function, hints, where)
    return Call(
        stage=stage,
        function=function,
        version=int(getattr(inspect.getmodule(function), "VERSION", 1)),
        inputs=inputs,
        settings=settings,
        resolved=resolved,
        paths=tuple(name for name in resolved if Path in _parts(hints.get(name))),
        places=tuple(p.name for p in parameters if p.name in PLACES),
        gives=_gives(hints, [p.name for p in parameters], where),
    )


def find_function(use: str, where: str) -> Callable[..., Any]:
    """The function at `annatto.` + `use`; only functions of the pipeline's own packages.

    Raises:
        UsageError: there is no such package, file or function.
    """
    parts = use.split(".")
    if parts[0] not in PACKAGES or not all(part.isidentifier() for part in parts):
        raise UsageError(
            f"{where}: use = '{use}' is not a stage; it must begin with one of "
            f"{', '.join(PACKAGES)}; {nearest(parts[0], PACKAGES)}."
        )
    package = importlib.import_module(f"annatto.{parts[0]}")
    files = [module.name for module in pkgutil.iter_modules(package.__path__)]
    if len(parts) != 3 or parts[1] not in files:
        near = nearest(".".join(parts[:2]), [f"{parts[0]}.{file}.…" for file in files])
        raise UsageError(f"{where}: there is no stage '{use}'; {near}.")
    module = importlib.import_module(f"annatto.{parts[0]}.{parts[1]}")
    functions = {
        name: value
        for name, value in inspect.getmembers(module, inspect.isfunction)
        if value.__module__ == module.__name__ and not name.startswith("_")
    }
    if parts[2] not in functions:
        near = nearest(use, [f"{parts[0]}.{parts[1]}.{name}" for name in functions])
        raise UsageError(f"{where}: there is no stage '{use}'; {near}.")
    return functions[parts[2]]


def kind_of(hint: Any) -> str | None:
    """What kind of output a parameter reads; None for a setting."""
    found = (KINDS.get(getattr(part, "__name__", "")) for part in _parts(hint))
    return next((kind for kind in found if kind), None)


def _parts(hint: Any) -> Iterator[Any]:
    inner = get_args(hint)
    if not inner:
        yield hint
    for part in inner:
        yield from _parts(part)


def _check_reference(
    reference: Reference, hint: Any, known: Mapping[str, str], later: list[str], where: str
) -> None:
    form = "a name" if isinstance(reference, str) else "names"
    shape: type = type(reference)
    origin = get_origin(hint)
    if origin is UnionType:
        origin = None  # an input that may be left out
    if isinstance(origin, type) and issubclass(origin, Mapping):
        wanted, fits = "a table of names", issubclass(shape, Mapping)
    elif isinstance(origin, type):
        wanted, fits = "a list of names", shape is tuple
    else:
        wanted, fits = "one name", shape is str
    if not fits:
        raise UsageError(f"{where} must be {wanted}; found {form}: {reference!r}.")
    for name in names(reference):
        if name in later:
            raise UsageError(
                f"{where} names '{name}', which is this stage or comes after it; a stage reads "
                "only what stands above it, so that no circle can arise: move it up."
            )
        if name not in known:
            raise UsageError(
                f"{where} names '{name}', which is no stage or model; {nearest(name, known)}."
            )
        if known[name] != kind_of(hint):
            raise UsageError(
                f"{where} needs {a(str(kind_of(hint)))}; '{name}' is {a(known[name])}."
            )


def _default(
    stage: Stage, readable: Mapping[str, Any], hints: Mapping[str, Any], before: Call | None
) -> dict[str, Reference]:
    """The output of the stage before, for the first parameter that needs an input."""
    needed = [name for name, p in readable.items() if p.default is p.empty]
    if not needed or needed[0] in stage.inputs or before is None:
        return {}
    if get_origin(hints[needed[0]]) is not None or kind_of(hints[needed[0]]) != before.gives:
        return {}
    return {needed[0]: before.stage.name}


def _settings(
    stage: Stage, function: Callable[..., Any], hints: Mapping[str, Any], where: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to call the function with, and every setting in full."""
    parameters = inspect.signature(function).parameters
    own = {n: p.default for n, p in parameters.items() if not kind_of(hints[n]) and n not in PLACES}
    kinds = {name: hints[name] for name in own}
    grouped = hints.get("settings") if dataclasses.is_dataclass(hints.get("settings")) else None
    if grouped:
        del own["settings"], kinds["settings"]
        inner = get_type_hints(grouped)
        kinds |= {field.name: inner[field.name] for field in dataclasses.fields(grouped)}
    for name in stage.settings:
        if name not in kinds:
            raise UsageError(f"{where} has no setting '{name}'; {nearest(name, kinds)}.")
    given = {n: fit(v, kinds[n], f"{where}: {n}") for n, v in stage.settings.items()}
    resolved = {name: given.get(name, default) for name, default in own.items()}
    missing = [name for name, value in resolved.items() if value is inspect.Parameter.empty]
    if missing:
        raise UsageError(f"{where} needs {missing[0]} = …; add it to the stage.")
    if not grouped:
        return given, resolved
    try:
        chosen = grouped(**{n: v for n, v in given.items() if n not in own})
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    called = {n: v for n, v in given.items() if n in own} | {"settings": chosen}
    return called, resolved | dataclasses.asdict(chosen)


def _gives(hints: Mapping[str, Any], parameters: list[str], where: str) -> str:
    if "folder" in parameters:
        return "folder"
    kind = KINDS.get(getattr(hints.get("return"), "__name__", ""))
    if not kind:
        raise UsageError(
            f"{where} gives {hints.get('return')}, which a recipe cannot keep; use a function that "
            "gives a Collection, a model or an Evaluation, or one that writes a folder."
        )
    return kind


def _check_model(settings: Mapping[str, Any], where: str) -> None:
    """The keys of `[models.NAME]` are arguments of what loads it, or those of an LLM."""
    key = place_key(settings)
    if key == "llm":
        check_llm(settings, where)
        return
    load = loader(key)
    hints = get_type_hints(load)
    parameters = inspect.signature(load).parameters
    known = [name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY]
    for name, value in settings.items():
        if name == key:
            continue
        if name not in known:
            raise UsageError(f"{where} has no setting '{name}'; {nearest(name, [key, *known])}.")
        fit(value, hints[name], f"{where}: {name}")
