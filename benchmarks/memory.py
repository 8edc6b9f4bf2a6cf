"""Peak anonymous memory of a piece of work; what a file backs does not count."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

INTERVAL = 0.02
"""Seconds between two looks at the memory."""
MIB = 2**20


def settle() -> None:
    """Give freed memory back, which the next step would take up again unseen."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):  # glibc
        library.malloc_trim(0)


def watched(run: Callable[[], object]) -> float:
    """MiB of anonymous memory at the peak of `run`, above what was there before it."""
    before = anonymous()
    seen, done = [before], threading.Event()

    def look() -> None:
        while not done.wait(INTERVAL):
            seen.append(anonymous())

    watcher = threading.Thread(target=look)
    watcher.start()
    run()
    done.set()
    watcher.join()
    return max(seen) - before


def anonymous() -> float:
    """MiB of this process's memory that no file backs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024
