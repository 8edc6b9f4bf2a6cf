"""Files and folders that are either whole or not there.

Everything is written under a temporary name beside its place and renamed when it is complete, so
that a kill at any moment leaves the old one, the new one, or nothing: never half of one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from annatto.core.errors import InputError

UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


@contextlib.contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `place` when the block ends without an error.

    Raises:
        InputError: the disk is full or `place` cannot be written; what was there stays.
    """
    temporary = place.with_name(f"{place.name}.tmp-{uuid.uuid4().hex[:8]}")
    with explained(place):
        temporary.mkdir(parents=True)
    try:
        with explained(place):
            yield temporary
            for path in temporary.rglob("*"):
                if path.is_file():
                    _flush(path)
            _replace_folder(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def new_file(place: Path) -> Iterator[Path]:
    """Yield a temporary path; what was written to it becomes `place` when the block ends well."""
    temporary = place.with_name(f"{place.name}.tmp-{uuid.uuid4().hex[:8]}")
    with explained(place):
        place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with explained(place):
            yield temporary
            _flush(temporary)
            temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def explained(place: Path) -> Iterator[None]:
    """Turn write errors of the operating system into one sentence about `place`.

    Raises:
        InputError: the disk is full, or `place` cannot be written.
    """
    try:
        yield
    except SafetensorError as error:  # wraps the system's error in its own
        if "No space left" not in str(error):
            raise
        raise InputError(_full(place)) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(_full(place)) from error
        if error.errno in UNWRITABLE:
            raise InputError(
                f"cannot write {place}: {error.strerror}; choose another place (-o; for weights, "
                "ANNATTO_CACHE)."
            ) from error
        raise


def _full(place: Path) -> str:
    free = shutil.disk_usage(_existing(place)).free / 2**20
    return (
        f"the disk is full while writing {place} ({free:.0f} MiB free); nothing there was "
        "changed: free some space and run the same command again."
    )


def write_json(place: Path, value: Any) -> None:
    """Write `value` as JSON with sorted keys, whole or not at all."""
    with new_file(place) as path:
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


def _replace_folder(new: Path, place: Path) -> None:
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
