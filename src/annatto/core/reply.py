"""What an LLM wrote, as a typed value: the reply types that an LLM can be asked for.

A reply type is `str` (the text itself) or a frozen dataclass whose fields are text, numbers, truth
values, or tuples of them. A dataclass may have a class method `from_text(text) -> Self | None` that
reads a reply which is not JSON; what neither way can be read is a Failure, never a guess.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from annatto.core.types import Failure

R = TypeVar("R")
UNREADABLE = "unreadable reply"
THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
FENCE = re.compile(r"\A```\w*\n(.*?)\n?```\Z", re.DOTALL)
JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def read(text: str, reply: type[R]) -> R | Failure:
    """The reply as a value; thoughts and code fences around it are taken off first.

    >>> read("<think>hm</think> yes", str)
    'yes'
    """
    bare = THOUGHT.sub("", text).strip()
    fenced = FENCE.match(bare)
    bare = fenced[1].strip() if fenced else bare
    if reply is str:
        return cast(R, bare)
    found = _from_json(bare, reply)
    plain = getattr(reply, "from_text", None)
    if found is None and plain is not None and not (THOUGHT.search(text) and not bare):
        found = plain(bare)
    return Failure(UNREADABLE, text) if found is None else found


def schema(reply: type[Any]) -> dict[str, Any]:
    """The JSON schema of a reply type that is a dataclass; every field is required."""
    hints = get_type_hints(reply)
    names = [field.name for field in dataclasses.fields(reply)]
    return {
        "type": "object",
        "properties": {name: _schema_of(hints[name]) for name in names},
        "required": names,
        "additionalProperties": False,
    }


def _schema_of(hint: Any) -> dict[str, Any]:
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _schema_of(get_args(hint)[0])}
    return {"type": JSON_TYPES[hint]}


def _from_json(text: str, reply: type[R]) -> R | None:
    """The dataclass that a JSON object in the text describes; None when it does not."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return None
    try:
        said = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        return None
    hints = get_type_hints(reply)
    names = [field.name for field in dataclasses.fields(cast(Any, reply))]
    if not isinstance(said, dict) or not all(n in said and _fits(said[n], hints[n]) for n in names):
        return None
    return reply(**{n: tuple(v) if isinstance(v := said[n], list) else v for n in names})


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is tuple:
        return isinstance(value, list) and all(_fits(v, get_args(hint)[0]) for v in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint
