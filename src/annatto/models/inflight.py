"""Many slow calls at once, and never more than so many."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def each(call: Callable[[T], U], items: Iterable[T], width: int) -> Iterator[U]:
    """`call(item)` for every item, in the order in which they end.

    At most `width` calls run, and at most as many items wait for one: `items` is read no faster
    than that, so that memory does not grow with their number. The threads are daemons: a program
    that is stopped does not wait for a server.

    Raises:
        Exception: the first that a call raised; calls that run then are left to end alone.
    """
    todo: queue.SimpleQueue[T | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[U | _Raised] = queue.SimpleQueue()
    workers = [
        threading.Thread(target=_work, args=(call, todo, done), daemon=True) for _ in range(width)
    ]
    for worker in workers:
        worker.start()
    try:
        yield from _through(iter(items), todo, done, 2 * width)
    finally:
        with contextlib.suppress(queue.Empty):  # what waits is not begun any more
            while True:
                todo.get_nowait()
        for _ in workers:
            todo.put(None)


class _Raised:
    """An exception on its way from a thread to whoever asked."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _through(
    items: Iterator[T],
    todo: queue.SimpleQueue[T | None],
    done: queue.SimpleQueue[U | _Raised],
    most: int,
) -> Iterator[U]:
    out = 0
    for item in items:
        todo.put(item)
        out += 1
        while out >= most or not done.empty():
            out -= 1
            yield _value(done.get())
    for _ in range(out):
        yield _value(done.get())


def _value(ended: U | _Raised) -> U:
    if isinstance(ended, _Raised):
        raise ended.error
    return ended


def _work(
    call: Callable[[T], U],
    todo: queue.SimpleQueue[T | None],
    done: queue.SimpleQueue[U | _Raised],
) -> None:
    while (item := todo.get()) is not None:
        try:
            done.put(call(item))
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            done.put(_Raised(error))
