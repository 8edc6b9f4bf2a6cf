"""Work of many clients put together for one model: batches of so many tokens, in one thread.

Nobody waits for a batch to fill: while one runs, what arrives becomes the next. Work waits in two
lanes, small requests (a query, a few sentences) and large ones. Where both wait, each gets half of
the tokens, so a small request waits for the batch that runs, for the small ones before it, for as
many tokens of large ones, and for one batch more; and a large one is never starved.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

SMALL = 512
"""Tokens, at most, of a small request."""
SMALL_SHARE = 8
"""One part in so many of the waiting tokens is for small requests."""
LOOK = 256
"""How many that wait are looked at to fill a batch."""
LONGEST_RETRY = 60
FIRST_RATE = 1000.0
"""Tokens per second that are assumed until a batch was measured."""


class Busy(Exception):
    """So much waits that no more is taken; `seconds` says when to come again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too much is waiting; try again in {seconds} s.")
        self.seconds = seconds


class TooLarge(Exception):
    """A request that would not fit even if nothing else waited."""


class Closed(Exception):
    """The server is stopping."""


class Work(Protocol):
    """What can be computed together.

    Attributes:
        key: equal for works whose payloads may share a batch.
        budget: tokens per batch.
        is_packed: whether texts of different length cost nothing beyond their tokens.
    """

    @property
    def key(self) -> Hashable: ...  # noqa: D102
    @property
    def budget(self) -> int: ...  # noqa: D102
    @property
    def is_packed(self) -> bool: ...  # noqa: D102

    def run(self, payloads: Sequence[Any]) -> Sequence[Any]:
        """One result per payload."""
        ...


class Item(NamedTuple):
    """One text to be computed."""

    work: Work
    tokens: int
    payload: Any


@dataclass(eq=False)
class Ticket:
    """A request: its results as they come, and the future that gets them all."""

    future: Future[list[Any]]
    found: list[Any]
    missing: int

    def put(self, place: int, result: Any) -> None:
        """Take one result; the last one answers."""
        self.found[place] = result
        self.missing -= 1
        if self.missing == 0:
            self._answer(self.future.set_result, self.found)

    def fail(self, error: Exception) -> None:
        """Answer with an error."""
        self._answer(self.future.set_exception, error)

    def _answer(self, how: Callable[[Any], None], what: Any) -> None:
        try:
            how(what)
        except InvalidStateError:  # cancelled, or failed in another batch
            return


class Waiting(NamedTuple):
    """An item in a lane, and where its result goes."""

    item: Item
    ticket: Ticket
    place: int


@dataclass
class Lane:
    """What waits, oldest first.

    Attributes:
        limit: tokens that may wait.
        tokens: that wait.
        served: tokens computed, a clock that both lanes share.
    """

    limit: int
    queue: deque[Waiting] = field(default_factory=deque)
    tokens: int = 0
    served: int = 0

    def put(self, items: Sequence[Item], ticket: Ticket) -> None:
        """Append a request."""
        self.queue.extend(Waiting(item, ticket, i) for i, item in enumerate(items))
        self.tokens += sum(item.tokens for item in items)

    def drop(self, ticket: Ticket) -> int:
        """Take out what is left of a request; how many items that were."""
        kept = deque(one for one in self.queue if one.ticket is not ticket)
        gone, self.queue = len(self.queue) - len(kept), kept
        self.tokens = sum(one.item.tokens for one in kept)
        return gone

    def take(self) -> list[Waiting]:
        """The oldest item, and what can be computed with it and fits."""
        near = [self.queue.popleft() for _ in range(min(LOOK, len(self.queue)))]
        chosen = set(_fill([one.item for one in near]))
        self.queue.extendleft(near[i] for i in reversed(range(len(near))) if i not in chosen)
        batch = [near[i] for i in sorted(chosen)]
        tokens = sum(one.item.tokens for one in batch)
        self.tokens -= tokens
        self.served += tokens
        return batch


def _fill(items: Sequence[Item]) -> Iterator[int]:
    """Places of the first item and of those to be computed with it.

    Where texts are padded, those of the first one's length come first.
    """
    work, first = items[0].work, items[0].tokens
    places = [i for i in range(len(items)) if items[i].work.key == work.key]
    if not work.is_packed:
        places.sort(key=lambda i: abs(items[i].tokens - first))
    places.remove(0)
    yield 0
    count, total, longest = 1, first, first
    for i in places:
        count, total, longest = count + 1, total + items[i].tokens, max(longest, items[i].tokens)
        if (total if work.is_packed else count * longest) > work.budget:
            return
        yield i


class Batcher:
    """A thread that computes what is submitted; see the head of this file."""

    def __init__(
        self, limit: int, *, on_batch: Callable[[int, int, float], None] = lambda *_: None
    ) -> None:
        """Start the thread.

        Args:
            limit: tokens of large requests that may wait; an eighth of it of small ones.
            on_batch: told texts, tokens and seconds of each batch.
        """
        self.lanes = {"small": Lane(max(limit // SMALL_SHARE, SMALL)), "large": Lane(limit)}
        self.dropped = 0
        self.is_failing = False
        self._rate = FIRST_RATE
        self._on_batch = on_batch
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="annatto-batches", daemon=True)
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether work is taken and the last batch was right."""
        return self._thread.is_alive() and not self._is_closed and not self.is_failing

    def submit(self, items: Sequence[Item], *, waits: bool = False) -> Future[list[Any]]:
        """One result per item, in their order; cancel the future to drop what was not begun.

        Args:
            items: of one request.
            waits: wait for room instead of raising Busy.

        Raises:
            Busy: too much is waiting.
            TooLarge: the request would never fit.
            Closed: the server is stopping.
        """
        tokens = sum(item.tokens for item in items)
        lane = self.lanes["small" if tokens <= SMALL else "large"]
        if tokens > lane.limit:
            raise TooLarge(
                f"these texts have {tokens} tokens and a request may have {lane.limit}; send fewer "
                "at once."
            )
        ticket = Ticket(Future(), [None] * len(items), len(items))
        with self._changed:
            while waits and lane.tokens + tokens > lane.limit and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                raise Closed("the server is stopping; try again soon.")
            if lane.tokens + tokens > lane.limit:
                raise Busy(self._seconds(lane.tokens))
            if not lane.queue:
                lane.served = max(one.served for one in self.lanes.values())
            lane.put(items, ticket)
            self._changed.notify_all()
        if not items:
            ticket.future.set_result([])
        ticket.future.add_done_callback(lambda _: self._forget(lane, ticket))
        return ticket.future

    def close(self) -> None:
        """Take no more, finish what waits, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _seconds(self, tokens: int) -> int:
        """Until half of what waits is done, at least 1."""
        return min(max(math.ceil(tokens / self._rate / 2), 1), LONGEST_RETRY)

    def _forget(self, lane: Lane, ticket: Ticket) -> None:
        if ticket.missing:
            with self._changed:
                self.dropped += lane.drop(ticket)
                self._changed.notify_all()

    def _serve(self) -> None:
        while batch := self._next():
            begin = time.perf_counter()
            self._run(batch)
            seconds = time.perf_counter() - begin
            tokens = sum(one.item.tokens for one in batch)
            self._rate += (tokens / max(seconds, 1e-6) - self._rate) / 8
            self._on_batch(len(batch), tokens, seconds)

    def _next(self) -> list[Waiting]:
        """The next batch; empty when nothing waits and no more comes."""
        with self._changed:
            while not (busy := [lane for lane in self.lanes.values() if lane.queue]):
                if self._is_closed:
                    return []
                self._changed.wait()
            batch = min(busy, key=lambda lane: lane.served).take()
            self._changed.notify_all()
        return batch

    def _run(self, batch: Sequence[Waiting]) -> None:
        try:
            results = batch[0].item.work.run([one.item.payload for one in batch])
        except Exception as error:  # noqa: BLE001 - those who asked are told
            self.is_failing = True
            for one in batch:
                one.ticket.fail(error)
            return
        self.is_failing = False
        for one, result in zip(batch, results, strict=True):
            one.ticket.put(one.place, result)
