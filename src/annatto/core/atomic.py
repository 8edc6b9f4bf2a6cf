"""Files and folders that are either whole or not there.

Everything is written under a temporary name beside its place and renamed when it is complete, so
that a kill at any moment leaves the old one, the new one, or nothing: never half of one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from annatto.core.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
ELSEWHERE = "choose another place with -o"


@contextlib.contextmanager
def new_folder(place: Path, *, remedy: str = ELSEWHERE) -> Iterator[Path]:
    """Yield an empty folder that becomes `place` when the block ends without an error.

    Raises:
        InputError: the disk is full or `place` cannot be written; what was there stays.
    """
    temporary = place.with_name(f"{place.name}.tmp-{uuid.uuid4().hex[:8]}")
    with explained(place, remedy=remedy):
        temporary.mkdir(parents=True)
    try:
        with explained(place, remedy=remedy):
            yield temporary
            replace_folder(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def new_file(place: Path, *, remedy: str = ELSEWHERE) -> Iterator[Path]:
    """Yield a temporary path; what was written to it becomes `place` when the block ends well."""
    temporary = place.with_name(f"{place.name}.tmp-{uuid.uuid4().hex[:8]}")
    with explained(place, remedy=remedy):
        place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with explained(place, remedy=remedy):
            yield temporary
            _flush(temporary)
            temporary.replace(place)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def explained(place: Path, *, remedy: str = ELSEWHERE) -> Iterator[None]:
    """Turn write errors of the operating system into one sentence about `place`.

    Raises:
        InputError: the disk is full, or `place` cannot be written; `remedy` says what to do then.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = system_number(error)
        if number in FULL:
            raise full(place) from error
        if number in UNWRITABLE or (number == errno.ENOENT and _is_at(error, place)):
            raise InputError(f"cannot write {place}: {os.strerror(number)}; {remedy}.") from error
        raise


def full(place: Path) -> InputError:
    """What to say when `place` cannot be written for lack of space, or of the right to more."""
    free = shutil.disk_usage(_existing(place)).free / 2**20
    return InputError(
        f"the disk is full while writing {place} ({free:.0f} MiB free); nothing there was "
        "changed: free some space and run the same command again."
    )


def system_number(error: Exception) -> int:
    """The system's number of an error; libraries in Rust tell it only in their text."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    told = re.search(r"\(os error (\d+)\)", str(error))
    return int(told[1]) if told else 0


def _is_at(error: OSError | SafetensorError, place: Path) -> bool:
    """Whether an error is about `place`, what is beside it, or a folder above it."""
    name, beside = getattr(error, "filename", None), Path(place).absolute().parent
    if not isinstance(name, str):
        return False
    path = Path(name).absolute()
    return path.is_relative_to(beside) or beside.is_relative_to(path)


def write_json(place: Path, value: Any, *, remedy: str = ELSEWHERE) -> None:
    """Write `value` as JSON with sorted keys, whole or not at all."""
    with new_file(place, remedy=remedy) as path:
        path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; a damaged one is an InputError that names it."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is not readable JSON ({error}); make it again.") from error


def read_card(path: Path) -> dict[str, Any]:
    """Read a JSON object; anything else is an InputError that names the file."""
    card = read_json(path)
    if not isinstance(card, dict):
        raise InputError(f"{path} holds no JSON object; make it again.")
    return card


def refuse_other(folder: Path, kind: str) -> None:
    """Refuse to write over a folder that holds something else than an older `kind`.

    Raises:
        InputError: it does.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    card = folder / "card.json"
    if folder.is_dir() and card.exists() and read_card(card).get("kind") == kind:
        return
    raise InputError(
        f"{folder} exists and is not an older {kind}; choose another place with -o, or remove it."
    )


def replace_folder(new: Path, place: Path) -> None:
    """Rename the folder `new` to `place`, its files safe on disk; what was there is removed."""
    for path in new.rglob("*"):
        if path.is_file():
            _flush(path)
    old = place.with_name(f"{place.name}.tmp-{uuid.uuid4().hex[:8]}-old")
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
