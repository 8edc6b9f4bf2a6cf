"""Every error annatto raises on purpose.

    AnnattoError            something we can explain; exit code 1
    ├── InputError          a file, line, id or text that cannot be used
    │   └── SchemaError     a table that does not have what a stage needs
    ├── WeightsError        model weights missing, damaged or of an unknown kind
    ├── IdentityError       vectors of one model offered to the index of another
    ├── MissingExtra        an optional dependency that is not installed
    ├── Stopped             work that was asked to stop and can go on; exit code 130
    └── UsageError          a command, recipe or argument that makes no sense; exit code 2

A message says what was needed, what was found, where, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AnnattoError(Exception):
    """Something annatto can explain; the message is one sentence for the user."""

    exit_code = 1


class InputError(AnnattoError):
    """A file, line, id or text that cannot be used."""


class SchemaError(InputError):
    """A table lacks what a stage needs."""


class WeightsError(AnnattoError):
    """Model weights are missing, damaged or of an unknown kind."""


class IdentityError(AnnattoError):
    """Vectors of one model were offered to the index of another."""


class MissingExtra(AnnattoError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}'; pip install 'annatto[{extra}]'.")


class Stopped(AnnattoError):
    """Work was asked to stop, and did; the message says how to go on."""

    exit_code = 130


class UsageError(AnnattoError):
    """A command, recipe or argument that makes no sense."""

    exit_code = 2


def a(kind: str) -> str:
    """A kind of thing with its article.

    >>> a("model"), a("index")
    ('a model', 'an index')
    """
    return f"an {kind}" if kind[:1].lower() in "aeio" else f"a {kind}"


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint naming the most similar of `known`, and all of them when they are few.

    >>> nearest("docment", ["document", "query"])
    'did you mean document? Known: document, query'
    """
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    shown = ", ".join(words[:12]) + (", …" if len(words) > 12 else "")
    return f"{hint}Known: {shown}"
