"""Rows of vectors on disk with their codes in memory, and how both are kept in a folder.

FOLDER/card.json          settings, and the name, length and sha256 of every other file
FOLDER/vectors-….bin      rows as they came, (n, dim) float16 or float32, one file for each save
FOLDER/codes-….bin        the codes of (nearly) all rows, as faiss writes them
FOLDER/removed-….bin      numbers of the rows that were removed, int64
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from annatto.core.atomic import explained
from annatto.core.errors import InputError
from annatto.core.progress import track
from annatto.index.codes import Codes, Coding
from annatto.index.parts import (
    CARD,
    Part,
    card_of,
    check_part,
    check_same,
    new_name,
    part_of,
    read_parts,
    write_parts,
)
from annatto.index.rowfiles import RowFiles

KIND = "bigranular"
PARTS = ("vectors", "codes", "removed")
UNWRITTEN = 0.1
"""Share of the rows whose codes a saved index may lack; they are made again when it is loaded."""


class CodedRows:
    """Rows, of which the first have codes; what changes counts from `save` on.

    Attributes:
        coding: how vectors become codes.
        least: rows below which there are no codes.
        files: the vectors.
        codes: of the rows below `coded` that are not removed; None while there are none.
        coded: the first row without a code.
        removed: (m,) int64 ascending, rows that are not to be found again.
    """

    def __init__(self, dim: int, *, coding: Coding, dtype: str, least: int) -> None:
        self.coding = coding
        self.least = least
        self.files = RowFiles(dim, dtype)
        self.codes: Codes | None = None
        self.coded = 0
        self.removed = np.zeros(0, np.int64)
        self._card = b""
        self._codes_part: list[Part] = []
        self._codes_rows = 0

    def __len__(self) -> int:
        return len(self.files)

    @property
    def folder(self) -> Path | None:
        """Where it lives; None before it was saved."""
        return self.files.folder

    def remove(self, rows: np.ndarray) -> None:
        """Remove rows, (m,) int64 ascending, none of which was removed before."""
        if self.codes is not None:
            self.codes.remove(rows[rows < self.coded])
        self.removed = np.union1d(self.removed, rows)

    def kept(self, first: int = 0) -> np.ndarray:
        """(n,) int64: the rows from `first` on that are not removed."""
        return np.setdiff1d(np.arange(first, len(self)), self.removed, assume_unique=True)

    def blocks(self, first: int = 0) -> Iterator[np.ndarray]:
        """The vectors of `kept`, in (m, dim) float32 blocks."""
        for start, block in self.files.blocks(first):
            low, high = np.searchsorted(self.removed, [start, start + len(block)])
            gone = self.removed[low:high] - start
            yield np.delete(block, gone, axis=0) if len(gone) else block

    def save(self, folder: Path, settings: dict[str, Any]) -> None:
        """Give all rows codes and make everything last; in its own folder, only what is new.

        Args:
            folder: it exists, and from then on the rows live there.
            settings: for the card, JSON.

        Raises:
            InputError: the disk is full; nothing in the folder changed.
            UsageError: another process changed the folder since it was opened.
        """
        with explained(folder):
            if self.folder is None or self.folder.resolve() != folder.resolve():
                self.files.move(folder)
                self._card, self._codes_part, self._codes_rows = card_of(folder), [], 0
            check_same(folder, self._card)
            self.files.seal()
            self._code()
            self._write(folder, settings)

    def open(self, folder: Path) -> None:
        """Take what was saved in a folder, in place of everything there is.

        Raises:
            InputError: a file is missing or damaged; vectors are not read, only their length is.
        """
        self._card = card_of(folder)
        card = read_parts(folder, KIND)
        parts = card["parts"]
        self.files = RowFiles(self.files.dim, self.files.dtype, folder)
        self.files.open(parts["vectors"])
        self.removed = np.zeros(0, np.int64)
        for part in parts["removed"]:
            self.removed = np.fromfile(check_part(folder, part, content=True), np.int64)
        self.codes, self.coded = None, card["coded"]
        self._codes_part, self._codes_rows = parts["codes"], card["coded"]
        for part in parts["codes"]:
            self.codes = Codes.read(check_part(folder, part, content=True))
            self.codes.remove(self.removed)
            self._code()

    def compacted(self, settings: dict[str, Any]) -> None:
        """Put the kept rows alone into the folder, with codes learned anew, and open that.

        Raises:
            InputError: the disk is full; nothing in the folder changed.
            UsageError: another process changed the folder since it was opened.
        """
        folder, files = self.folder, self.files
        assert folder is not None
        check_same(folder, self._card)
        fresh = CodedRows(files.dim, coding=self.coding, dtype=files.dtype, least=self.least)
        fresh.files.folder, fresh._card = folder, self._card
        try:
            for block in self.blocks():
                fresh.files.add(block.astype(files.dtype))
            fresh.save(folder, settings)
        finally:
            fresh.files.discard()
        files.discard()
        self.open(folder)

    def _code(self) -> None:
        """Give all rows codes, which are learned first if there are none, and rows enough."""
        if self.codes is None:
            if len(self) - len(self.removed) < self.least:
                return
            self.codes = self._learned()
        for first, block in track(self.files.blocks(self.coded), "coding vectors"):
            self.codes.add(block, first)
        self.codes.remove(self.removed[self.removed >= self.coded])
        self.coded = len(self)

    def _learned(self) -> Codes:
        rng = np.random.default_rng(self.coding.seed)
        count = min(self.coding.sample, len(self))
        drawn = np.sort(rng.choice(len(self), count, replace=False, shuffle=False))
        drawn = np.setdiff1d(drawn, self.removed, assume_unique=True)
        self.files.prefetch(drawn)
        rows = len(self) - len(self.removed)
        return Codes.learn(self.files.take(drawn), self.coding, rows=rows)

    def _write(self, folder: Path, settings: dict[str, Any]) -> None:
        """Write the codes, unless those on the disk will do, and then the card."""
        if self.codes is not None and self._codes_rows < (1 - UNWRITTEN) * self.coded:
            path = folder / new_name("codes")
            self.codes.write(path)
            self._codes_part, self._codes_rows = [part_of(path)], self.coded
        removed: list[Part] = []
        if len(self.removed):
            path = folder / new_name("removed")
            path.write_bytes(self.removed.tobytes())
            removed = [part_of(path)]
        parts = {"vectors": self.files.parts, "codes": self._codes_part, "removed": removed}
        write_parts(folder, {"kind": KIND, "settings": settings, "coded": self._codes_rows}, parts)
        self._card = card_of(folder)


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings on the card of a folder.

    Raises:
        InputError: it has no such card, or it is damaged.
    """
    card = read_parts(folder, KIND)
    try:
        coding = Coding(**card["settings"]["coding"])
        missing = [name for name in PARTS if name not in card["parts"]]
        if missing or not isinstance(card["coded"], int):
            raise KeyError(*missing or ["coded"])
        return {**card["settings"], "coding": coding, "dim": int(card["settings"]["dim"])}
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / CARD} is damaged ({error}); make it again.") from error


def check_files(folder: Path) -> None:
    """Read every file that the card of a folder names, and compare its sha256.

    Raises:
        InputError: one is missing or damaged.
    """
    for parts in read_parts(folder, KIND)["parts"].values():
        for part in parts:
            check_part(folder, part, content=True)
