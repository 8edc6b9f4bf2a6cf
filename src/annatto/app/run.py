"""Run a recipe: each stage once, its output kept, and kept work recognised by its content.

    RUN/NAME             what stage NAME gave: a collection, a model, an evaluation, a folder
    RUN/state/NAME.json  key (what went in), content and bytes (what came out) of that output
    RUN/work/NAME-KEY    scratch of a stage that can resume; gone when the stage is done
    RUN/timing.json      seconds per stage; never hashed
    RUN/card.json        kind "run", and the recipe's name

An output is renamed into place whole, then its state is written: a kill between the two leaves an
output without a matching state, which is made again.
"""

from __future__ import annotations

import fcntl
import logging
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from annatto.app import artefacts
from annatto.app.bind import Call, bind
from annatto.app.recipe import Recipe
from annatto.app.shelf import Shelf
from annatto.app.training import dev_score
from annatto.core.atomic import explained, new_folder, read_json, write_json
from annatto.core.errors import InputError, WeightsError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """What would happen to a stage.

    Attributes:
        call: the stage.
        is_kept: its output is there and nothing it depends on changed.
        why: in a few words.
    """

    call: Call
    is_kept: bool
    why: str


def plan(recipe: Recipe, folder: Path) -> list[Step]:
    """What `execute` would do now; nothing is written and no model is loaded.

    Raises:
        UsageError: the recipe does not fit the functions it names.
    """
    contents: dict[str, str] = {}
    lacking: dict[str, str] = {}
    for name, settings in recipe.models.items():
        try:
            contents[name] = artefacts.model_content(name, settings)
        except WeightsError as error:
            lacking[name] = str(error)
    steps = []
    for call in bind(recipe):
        unknown = [name for name in call.reads() if name not in contents]
        state = None if unknown else _kept(call, key_of(call, contents), folder)
        if state:
            contents[call.stage.name] = state["content"]
            steps.append(Step(call, True, "unchanged"))
        elif unknown:
            told = [lacking[name] for name in unknown if name in lacking]
            why = told[0] if told else f"waits for {unknown[0]}"
            steps.append(Step(call, False, why))
        else:
            steps.append(Step(call, False, "new or changed"))
    return steps


def execute(recipe: Recipe, folder: Path) -> dict[str, Path]:
    """Run every stage that is not kept from before, and say where each output is.

    Raises:
        UsageError: the recipe does not fit the functions it names.
        WeightsError: a model is not on this machine; nothing was run.
        InputError: `folder` holds something else, is in use, or the disk is full.
    """
    calls = bind(recipe)
    used = {name for call in calls for name in call.reads()}
    contents = {
        name: artefacts.model_content(name, settings)
        for name, settings in recipe.models.items()
        if name in used
    }
    artefacts.replaceable(folder, "run")
    with explained(folder), _alone(folder):
        write_json(folder / "card.json", {"kind": "run", "recipe": recipe.place})
        shelf = Shelf(recipe, folder, {call.stage.name: call.gives for call in calls})
        for number, call in enumerate(calls, start=1):
            label = f"[{number}/{len(calls)}] {call.stage.name}"
            contents[call.stage.name] = _stage(call, contents, shelf, label)
            shelf.keep_only({name for later in calls[number:] for name in later.reads()})
    return {call.stage.name: folder / call.stage.name for call in calls}


def key_of(call: Call, contents: Mapping[str, str]) -> str:
    """What decides a stage's output, as sha256: function, settings, inputs' contents, libraries."""
    files = {
        name: hashes for name in call.paths if (hashes := _hashes(call.resolved[name])) is not None
    }
    inputs = {
        parameter: list(reference.items()) if isinstance(reference, Mapping) else reference
        for parameter, reference in call.inputs.items()
    }
    return artefacts.digest_of(
        {
            "use": call.stage.use,
            "version": call.version,
            "settings": call.resolved,
            "inputs": inputs,
            "contents": {name: contents[name] for name in call.reads()},
            "files": files,
            "libraries": _libraries(),
        }
    )


def _hashes(setting: Any) -> Any:
    """What the files of a setting hold: a path, or a table or list of them; None where none is."""
    if isinstance(setting, Mapping):
        return {name: _hashes(value) for name, value in setting.items()} or None
    if isinstance(setting, tuple | list):
        return [_hashes(value) for value in setting] or None
    if not setting or not Path(setting).exists():
        return None
    return artefacts.tree_hash(Path(setting))


def _stage(call: Call, contents: Mapping[str, str], shelf: Shelf, label: str) -> str:
    """Run one stage unless it is kept; the content of its output."""
    key = key_of(call, contents)
    state = _kept(call, key, shelf.folder)
    if state:
        logger.info("%s: kept, nothing it depends on changed", label)
        return str(state["content"])
    logger.info("%s: %s", label, call.stage.use)
    start = time.perf_counter()
    place = shelf.folder / call.stage.name
    with _scratch(call, key, shelf.folder) as places:
        _make(call, shelf, place, places)
        content = artefacts.content(place, call.gives)
        state = {"key": key, "kind": call.gives, "content": content}
        state["bytes"] = artefacts.tree_hash(place)
        write_json(_state_file(call, shelf.folder), state)
    seconds = time.perf_counter() - start
    _note_time(shelf.folder, call.stage.name, seconds)
    logger.info("%s: done in %.1f s, %s", label, seconds, place)
    return content


def _make(call: Call, shelf: Shelf, place: Path, places: Mapping[str, Any]) -> None:
    """Call the function and bring its output to `place`, whole."""
    taken = {name: shelf.take(reference) for name, reference in call.inputs.items()}
    given = {**taken, **call.settings, **places}
    if "weights" in call.places:
        model = next(name for name in call.reads() if shelf.kinds.get(name, "model") == "model")
        given["weights"] = shelf.how_to_load(model)
    if "evaluate" in call.places and call.resolved["evaluate_every"]:
        given["evaluate"] = dev_score(taken["collection"])
    if call.gives == "folder":
        with new_folder(place) as temporary:
            call.function(**given, folder=temporary)
    else:
        artefacts.write(call.function(**given), call.gives, place)


def _kept(call: Call, key: str, folder: Path) -> dict[str, Any] | None:
    """The state of an output that is whole, unchanged, and made from just this; None otherwise."""
    path, place = _state_file(call, folder), folder / call.stage.name
    if not path.exists() or not place.exists():
        return None
    state: dict[str, Any] = read_json(path)
    if state["key"] != key or artefacts.tree_hash(place) != state["bytes"]:
        return None
    return state


def _state_file(call: Call, folder: Path) -> Path:
    return folder / "state" / f"{call.stage.name}.json"


@contextmanager
def _scratch(call: Call, key: str, folder: Path) -> Iterator[dict[str, Path]]:
    """The `work` argument: a folder that outlives a kill, for just these inputs and settings."""
    work = folder / "work" / f"{call.stage.name}-{key[:16]}"
    for old in (folder / "work").glob(f"{call.stage.name}-*"):
        if old != work and len(old.name) == len(work.name):
            shutil.rmtree(old, ignore_errors=True)
    if "work" not in call.places:
        yield {}
        return
    work.mkdir(parents=True, exist_ok=True)
    yield {"work": work}
    shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the run's folder for this process, and clear what a killed one left half-written."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"another run is working in {folder}; wait for it, or choose another place with -o."
            ) from error
        for left in [*folder.glob("*.tmp-*"), *folder.glob("*/*.tmp-*")]:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield


def _note_time(folder: Path, stage: str, seconds: float) -> None:
    path = folder / "timing.json"
    seconds_of = read_json(path) if path.exists() else {}
    write_json(path, {**seconds_of, stage: round(seconds, 2)})


def _libraries() -> dict[str, str]:
    """Versions that may change results: Python's, and the main ones of torch and transformers."""
    main = {name: metadata.version(name).split(".")[0] for name in ("torch", "transformers")}
    return {"python": platform.python_version(), **main}
