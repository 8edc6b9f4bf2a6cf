"""Text files, plain or gzipped, read line by line; what is wrong is named by file and line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from annatto.core.errors import InputError

BOM = "\ufeff"


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line with its ending) of a UTF-8 file.

    Raises:
        InputError: the file is missing, is not UTF-8, or its gzip stream is broken.
    """
    start = 0
    for number, raw in enumerate(_raw_lines(path), 1):
        try:
            line = raw.decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}, line {number} is not UTF-8 (byte 0x{raw[error.start]:02x} at offset "
                f"{start + error.start} of the text); convert the file to UTF-8."
            ) from error
        start += len(raw)
        yield number, line.removeprefix(BOM) if number == 1 else line


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a JSON-lines file; blank lines are passed over.

    Raises:
        InputError: a line is not UTF-8, not JSON, or not an object.
    """
    for number, line in lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(
                f"{path}, line {number} is not JSON ({error}); mend or remove that line."
            ) from error
        if not isinstance(row, dict):
            raise InputError(
                f"{path}, line {number} must hold a JSON object, but holds "
                f"{type(row).__name__}; write it as {{...}}."
            )
        yield number, row


def read_text(path: Path) -> str:
    """The whole text of a UTF-8 file, line endings as they are."""
    return "".join(line for _, line in lines(path))


def _raw_lines(path: Path) -> Iterator[bytes]:
    try:
        with _open(path) as file:
            yield from file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} is a broken gzip file ({error}); fetch or pack it again."
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}; check its name and permissions."
        ) from error


def _open(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
