"""What commands show: results on stdout, for people or as JSON; all else on stderr."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from annatto.core.progress import CUT

QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "passive",
}
"""Environment, unless the user set it: no chatter of other libraries on the terminal, and threads
that do not burn a processor while they wait (beside a busy neighbour that was 3 times slower)."""


class FirstOnly(logging.Filter):
    """Lets a warning pass once for each first argument, and adds up what it keeps back.

    Two warnings are the same when their unformatted message and its first argument are. Other
    levels always pass.

    Attributes:
        cut: per model, messages about texts that were cut, and the sums of their numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[tuple[str, str]] = set()
        self.cut: dict[str, tuple[int, int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a warning that was shown."""
        if record.levelno != logging.WARNING:
            return True
        arguments = record.args if isinstance(record.args, tuple) else ()
        if record.msg == CUT:
            name, cut, texts, _ = arguments
            told = self.cut.get(str(name), (0, 0, 0))
            self.cut[str(name)] = (told[0] + 1, told[1] + int(str(cut)), told[2] + int(str(texts)))
        key = (str(record.msg), str(arguments[0]) if arguments else "")
        is_new = key not in self._seen
        self._seen.add(key)
        return is_new


def say_totals() -> None:
    """Sum up, on stderr, what texts were cut in batches whose own messages were kept back."""
    handlers = logging.getLogger("annatto").handlers
    filters = [one for handler in handlers for one in handler.filters]
    for counted in [one for one in filters if isinstance(one, FirstOnly)]:
        for name, (messages, cut, texts) in counted.cut.items():
            if messages > 1:
                told = f"{name}: in all, {cut:,} of {texts:,} readings of a text lost their ends"
                logging.getLogger(__name__).info(told)
        counted.cut.clear()


def listen(level: int = logging.INFO) -> None:
    """Show the library's messages on stderr, each as it is."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning)
    logger = logging.getLogger("annatto")
    logger.setLevel(level)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(FirstOnly())
    logger.handlers = [handler]
    logger.propagate = False


def say(text: str) -> None:
    """A line for people, on stderr."""
    typer.echo(text, err=True)


def show(text: str) -> None:
    """A line of the result, on stdout."""
    typer.echo(text)


def result(value: Mapping[str, Any] | Sequence[Any], text: str, *, as_json: bool) -> None:
    """The result on stdout: `text` for people, `value` for machines."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1, default=str) if as_json else text)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout; columns after the first are set to the right."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title or None, title_justify="left")
    for i, column in enumerate(columns):
        drawn.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        drawn.add_row(*row)
    Console(file=sys.stdout).print(drawn)
