"""Decisions that wait on disk until all are made, so that memory does not grow with them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from annatto.core.atomic import explained
from annatto.core.tables import DECISIONS
from annatto.mine.changes import Change


class Waiting:
    """Tables of DECISIONS in a temporary file (in `TMPDIR`), in the order they came."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._schema = DECISIONS.empty().schema
        self._writer = ipc.new_stream(str(place), self._schema)

    def add(self, rows: pa.Table) -> None:
        """Put rows behind those that are there."""
        with explained(self._place):
            self._writer.write_table(rows.select(self._schema.names))

    def read(self) -> pa.Table:
        """All rows, in memory; nothing can be added any more."""
        self._writer.close()
        with pa.OSFile(str(self._place)) as file:
            return ipc.open_stream(file).read_all()


@contextmanager
def waiting() -> Iterator[Waiting]:
    """A place for decisions that goes when the block ends."""
    with tempfile.TemporaryDirectory(prefix="annatto-") as folder:
        yield Waiting(Path(folder) / "decisions.arrow")


def real_changes(rows: pa.Table) -> list[Change]:
    """The changes that these DECISIONS made, without those that left a label as it was."""
    real = rows.filter(pc.match_substring(rows["evidence"], '"was": '))
    return [Change.of_row(row) for row in real.to_pylist()]
