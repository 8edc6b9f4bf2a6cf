"""Texts as requests hold them: whole characters, not too many, not too long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from annatto.app.serve.limits import Limits
from annatto.app.serve.refusal import Refusal


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError("half", "holds half a character, a lone surrogate") from error
    return text


Text = Annotated[str, AfterValidator(_whole)]
"""A text that can be written as UTF-8; JSON can also say what cannot."""


def check_texts(texts: Sequence[str], limits: Limits, field: str) -> None:
    """Refuse too many texts, and too long ones.

    Raises:
        Refusal: 400, it says what was found and how much is taken.
    """
    if len(texts) > limits.texts:
        raise Refusal(
            400,
            f"a request may have {limits.texts} texts; found {len(texts)}; send fewer at once.",
            param=field,
        )
    longest = max((len(text) for text in texts), default=0)
    if longest > limits.characters:
        raise Refusal(
            400,
            f"a text may have {limits.characters} characters; found one of {longest}; cut it into "
            "passages.",
            param=field,
            code="context_length_exceeded",
        )
