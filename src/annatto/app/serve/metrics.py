"""What the server counts, in Prometheus' words; never a text, a key or a path that was made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
TOKENS = (16, 64, 256, 1024, 4096, 16384, 65536)


class Metrics:
    """Counters of one server; two servers in a process do not share them."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "annatto_requests", "Answered requests.", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "annatto_request_seconds",
            "From the first byte of a request's head to the last of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self._texts = Counter("annatto_computed_texts", "Texts computed.", registry=registry)
        self._tokens = Counter("annatto_computed_tokens", "Tokens computed.", registry=registry)
        self._busy = Counter("annatto_busy_seconds", "Seconds spent computing.", registry=registry)
        self._batches = Histogram(
            "annatto_batch_tokens", "Tokens of a batch.", buckets=TOKENS, registry=registry
        )

    def on_batch(self, texts: int, tokens: int, seconds: float) -> None:
        """Count a batch."""
        self._texts.inc(texts)
        self._tokens.inc(tokens)
        self._busy.inc(seconds)
        self._batches.observe(tokens)

    def watch(self, name: str, said: str, read: Callable[[], float]) -> None:
        """A number that is read when somebody asks."""
        Gauge(f"annatto_{name}", said, registry=self._registry).set_function(read)

    def watch_by(
        self, name: str, said: str, label: str, reads: Sequence[tuple[str, Callable[[], float]]]
    ) -> None:
        """Numbers that differ by a label, read when somebody asks."""
        gauge = Gauge(f"annatto_{name}", said, [label], registry=self._registry)
        for value, read in reads:
            gauge.labels(value).set_function(read)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
