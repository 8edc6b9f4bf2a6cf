"""A server of its own process for benchmarks: started, asked, stopped."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from annatto import Embedder
from annatto.index.folder import build
from annatto.testing import tiny_collection, tiny_model

AT = re.compile(r"serving at (http://\S+):")


class Running(NamedTuple):
    """Where a server listens, and its process."""

    address: str
    process: subprocess.Popen[str]


@contextlib.contextmanager
def started(words: Sequence[str], at: re.Pattern[str] = AT) -> Iterator[Running]:
    """Start a server and wait until it says where it listens; it is stopped in the end.

    Args:
        words: the command line behind `python`.
        at: finds the address in a line of its stderr.
    """
    command = [sys.executable, *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if found := at.search(line):
                break
        else:
            sys.exit(f"{' '.join(command)} did not start:\n{''.join(said)}")
        try:
            yield Running(found[1], process)
        finally:
            process.terminate()
            process.wait()


def tiny_index(folder: Path) -> Path:
    """An index of 60 made-up documents and the tiny random model beside it."""
    model = Embedder.load(tiny_model(folder / "tiny"), instruction="Find the paragraph.")
    saved = model.save(folder / "model")
    build(tiny_collection(), model, folder / "index", weights={"weights": str(saved)})
    return folder / "index"
