"""A few threads for what waits for a disk, and a bounded number of requests that wait for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from annatto.app.serve.batching import Busy

T = TypeVar("T")


class Threads:
    """Runs functions, so many at a time."""

    def __init__(self, count: int, *, most: int, name: str) -> None:
        """Make them.

        Args:
            count: of threads.
            most: functions that run or wait.
            name: of the threads.
        """
        self._pool = ThreadPoolExecutor(count, name)
        self._room = threading.Semaphore(most)

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives; when cancelled before it began, it never does.

        Raises:
            Busy: too many wait.
        """
        if not self._room.acquire(blocking=False):
            raise Busy(1)
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Finish what was taken."""
        self._pool.shutdown()
