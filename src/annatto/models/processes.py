"""Encoding on several GPUs: a process for each, with a copy of the model, that takes whole windows.

A window is encoded as one process would do it, so the number of processes changes no vector. On a
machine without a GPU the processes share the processor, each with as many threads as this one has.
"""

from __future__ import annotations

import logging
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from annatto.core.errors import AnnattoError
from annatto.core.types import Prompt
from annatto.models import transformer

if TYPE_CHECKING:
    from annatto.models.embedder import Embedder

logger = logging.getLogger(__name__)
WINDOWS_EACH = 2  # one that runs, one that is tokenised meanwhile


@dataclass(frozen=True)
class Job:
    """What a process is told once.

    Attributes:
        reader: the Embedder without its weights.
        config: of the transformer.
        attention: its implementation.
        weights: folder to read them from.
        prompt: of every text.
        threads: of torch, where there is no GPU.
    """

    reader: Embedder
    config: Any
    attention: str
    weights: Path
    prompt: str | Prompt
    threads: int


def encode_windows(
    model: Embedder, windows: Iterable[Sequence[str]], *, prompt: str | Prompt, devices: int
) -> Iterator[np.ndarray]:
    """Vectors of each window, in order; window i is encoded by process i modulo `devices`.

    Args:
        model: copied to each process, with its weights as they are now.
        windows: lists of texts; up to two for each process are read ahead.
        prompt: as for `Embedder.encode`.
        devices: how many processes; those without a window are not started.

    Yields:
        (m, dim) float32, rows of length 1.

    Raises:
        AnnattoError: a process ended before its work was done.
    """
    model.tokenize([""], prompt=prompt)  # a prompt that cannot be used is refused here
    workers: list[Worker] = []
    waiting: deque[Worker] = deque()
    with tempfile.TemporaryDirectory(prefix="annatto-") as place:
        try:
            for number, texts in enumerate(windows):
                if number == 0:
                    job = _job(model, Path(place), prompt)
                if number < devices:
                    workers.append(_start(job, number))
                if len(waiting) == WINDOWS_EACH * devices:
                    yield waiting.popleft().take()
                workers[number % devices].give(texts)
                waiting.append(workers[number % devices])
            while waiting:
                yield waiting.popleft().take()
        finally:
            for worker in workers:
                worker.end()


@dataclass(frozen=True)
class Worker:
    """A process at the other end of a pipe."""

    number: int
    process: BaseProcess
    pipe: Connection

    def give(self, texts: Sequence[str]) -> None:
        """Send a window."""
        try:
            self.pipe.send(list(texts))
        except OSError as error:
            raise self._lost() from error

    def take(self) -> np.ndarray:
        """Wait for the vectors of the oldest window; its messages are logged here."""
        try:
            vectors, records = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise self._lost() from error
        for record in records:
            logging.getLogger(record.name).handle(record)
        found: np.ndarray = vectors
        return found

    def end(self) -> None:
        """Stop the process, whatever it does."""
        self.process.terminate()
        self.process.join()
        self.pipe.close()

    def _lost(self) -> AnnattoError:
        self.process.join()
        return AnnattoError(
            f"process {self.number} that encodes ended with code {self.process.exitcode} before "
            "its texts were done; if it says no more above, it was short of memory: use fewer "
            "devices."
        )


def _job(model: Embedder, place: Path, prompt: str | Prompt) -> Job:
    network: Any = model.model
    network.save_pretrained(place)
    reader = replace(model, model=torch.nn.Module(), devices=1, adapter=None, card={})
    return Job(reader, network.config, model.attention, place, prompt, torch.get_num_threads())


def _start(job: Job, number: int) -> Worker:
    context = torch.multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(job, number, theirs), daemon=True)
    process.start()
    theirs.close()
    return Worker(number, process, ours)


def _work(job: Job, number: int, pipe: Connection) -> None:
    """What a process does until it is stopped."""
    torch.set_num_threads(job.threads)
    if torch.cuda.is_available():
        torch.cuda.set_device(number % torch.cuda.device_count())
    records = _listen()
    network = transformer.read_model(job.weights, job.config, job.reader.dtype, job.attention)
    model = replace(job.reader, model=network)
    for vectors in model.encode_windows(iter(pipe.recv, None), prompt=job.prompt):
        pipe.send((vectors, [records.popleft() for _ in range(len(records))]))


def _listen() -> deque[logging.LogRecord]:
    """What annatto logs in this process, to be shown by the one that started it."""
    records: deque[logging.LogRecord] = deque()

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    own = logging.getLogger("annatto")
    own.handlers, own.propagate = [Keep()], False
    return records
