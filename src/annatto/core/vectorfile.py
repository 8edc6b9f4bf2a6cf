"""Vectors of very many texts, written to a file as they come; killed work goes on where it was.

vectors.npy        (n, dim) float32, row i is text i; shorter than its header says until it is whole
vectors.npy.json   whose vectors they are, and the sha256 of each window of texts that is done
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from annatto.core.atomic import explained, read_card, write_json
from annatto.core.encode import encode_windows
from annatto.core.errors import InputError, UsageError
from annatto.core.progress import track
from annatto.core.types import BATCH_ROWS, Encoder, Prompt


def encode_to(
    place: Path,
    windows: Iterable[Sequence[str]],
    *,
    count: int,
    encoder: Encoder,
    prompt: str | Prompt = "document",
) -> np.ndarray:
    """Encode `count` texts into the file `place`; killed and called again, it gives the same bytes.

    A window is encoded as a whole, so that its batches are the same whether the work was killed
    before it or not. Windows that are done are read again, to see that their texts are the same.

    Args:
        place: a .npy file; `place`.json beside it says what is done.
        windows: lists of texts, such as `Collection.document_texts` gives; cut in the same way each
            time.
        count: of all texts.
        encoder: any; one with several devices uses them all.
        prompt: as for `Encoder.encode`.

    Returns:
        (count, dim) float32, rows of length 1, memory-mapped, read only.

    Raises:
        UsageError: `place` holds vectors of another model, another reading or other texts.
        InputError: there are more or fewer texts, a vector is NaN, or `place` cannot be written.
    """
    place = Path(place)
    said = {"of": reading(encoder, prompt), "count": count}
    done = _done(place, said)
    state = _beside(place)
    with explained(place), _opened(place, done, shape=(count, encoder.dim)) as file:
        if not done:
            write_json(state, {**said, "windows": done})
        waiting: deque[dict[str, Any]] = deque()
        left = _left(windows, done=list(done), waiting=waiting, place=place)
        row = _rows(done)
        with contextlib.closing(encode_windows(encoder, left, prompt=prompt)) as found:
            label = f"encoding with {encoder.name}"
            for vectors in track(found, label, -(-(count - row) // BATCH_ROWS)):
                rows = checked(vectors, encoder.dim, "a file of vectors", first=row)
                row += len(rows)
                _check_count(row, count, is_whole=False)
                file.write(rows.data)
                file.flush()
                os.fsync(file.fileno())
                done.append(waiting.popleft())
                write_json(state, {**said, "windows": done})
    _check_count(row, count, is_whole=True)
    mapped: np.ndarray = np.load(place, mmap_mode="r")
    return mapped


def is_whole(place: Path, count: int) -> bool:
    """Whether `place` says that all of `count` vectors are done; a cut file is not whole."""
    place = Path(place)
    if not place.exists() or not _beside(place).exists():
        return False
    try:
        vectors = np.load(place, mmap_mode="r")
    except (ValueError, EOFError):
        return False  # `encode_to` says what is wrong with it
    return len(vectors) == _rows(read_card(_beside(place))["windows"]) == count


def reading(encoder: Encoder, prompt: str | Prompt) -> dict[str, Any]:
    """Everything but the text that decides a vector's bytes, as JSON values.

    An encoder that does not tell has its name for weights.
    """
    names = ("pooling", "max_tokens", "dtype", "attention")
    if isinstance(prompt, str):
        stored = getattr(encoder, "prompts", {})
        prompt = stored.get(prompt) or stored.get(prompt.partition("/")[0]) or Prompt.plain()
    said = {
        "weights_id": getattr(encoder, "weights_id", encoder.name),
        "dim": encoder.dim,
        "prompt": asdict(prompt),
        **{name: getattr(encoder, name, None) for name in names},
    }
    plain: dict[str, Any] = json.loads(json.dumps(said))
    return plain


def checked(vectors: np.ndarray, dim: int, who: str, *, first: int) -> np.ndarray:
    """The vectors as contiguous float32.

    Args:
        vectors: should be (m, dim) and finite.
        dim: what `who` needs.
        who: for the message.
        first: row number of the first vector, for the message.

    Raises:
        InputError: another dimension, or a vector that holds NaN or infinity.
    """
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise InputError(
            f"{who} needs vectors of {dim} dimensions; found an array of shape {rows.shape}; "
            "encode with the model that the index was made for."
        )
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise InputError(
            f"{who} needs finite vectors; {len(bad)} of {len(rows)} hold NaN or infinity "
            f"(first: row {first + int(bad[0])}); look at the text of that row and at the model."
        )
    return rows


def _done(place: Path, said: dict[str, Any]) -> list[dict[str, Any]]:
    """What `place` says is done; none when it is not there."""
    if not place.exists() and not _beside(place).exists():
        return []
    found = read_card(_beside(place)) if _beside(place).exists() else {}
    ours, theirs = {**said["of"], "count": said["count"]}, found.get("of", {})
    theirs = {**theirs, "count": found.get("count")}
    different = [name for name in ours if ours[name] != theirs.get(name)]
    if different:
        raise UsageError(_other(place, f"{', '.join(different)} differ"))
    windows: list[dict[str, Any]] = found["windows"]
    return windows


def _left(
    windows: Iterable[Sequence[str]],
    *,
    done: list[dict[str, Any]],
    waiting: deque[dict[str, Any]],
    place: Path,
) -> Iterator[Sequence[str]]:
    """The windows that are not done; each one's record is put at the end of `waiting`."""
    for number, texts in enumerate(windows):
        digest = hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()
        record = {"texts": len(texts), "sha256": digest}
        if number >= len(done):
            waiting.append(record)
            yield texts
        elif record != done[number]:
            raise UsageError(_other(place, f"the texts from {_rows(done[:number])} on differ"))


@contextlib.contextmanager
def _opened(
    place: Path, done: list[dict[str, Any]], *, shape: tuple[int, int]
) -> Iterator[IO[bytes]]:
    """The file, open where its next row goes; what was half-written is cut off."""
    place.parent.mkdir(parents=True, exist_ok=True)
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with place.open("r+b" if place.exists() else "w+b") as file:
        np.lib.format.write_array_header_1_0(file, header)
        end = file.tell() + 4 * shape[1] * _rows(done)
        if file.seek(0, os.SEEK_END) < end:
            raise InputError(
                f"{place} is damaged (shorter than the {_rows(done)} vectors that are done); "
                f"remove it and {_beside(place).name} to start over."
            )
        file.truncate(end)
        file.seek(end)
        yield file


def _check_count(row: int, count: int, *, is_whole: bool) -> None:
    if row > count or (is_whole and row < count):
        raise InputError(
            f"encoding to a file needs exactly {count} texts, as it was told; found "
            f"{'at least ' if row > count else ''}{row}; give their true number as count."
        )


def _rows(done: list[dict[str, Any]]) -> int:
    return sum(int(window["texts"]) for window in done)


def _other(place: Path, why: str) -> str:
    return (
        f"{place} holds vectors of another model or of other texts ({why}); remove it and "
        f"{_beside(place).name} to start over, or choose another place."
    )


def _beside(place: Path) -> Path:
    return place.with_name(f"{place.name}.json")
