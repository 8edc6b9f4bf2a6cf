"""The words of a text, for the writing systems we meet."""

from __future__ import annotations

import re

IDEOGRAM = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
WORD = re.compile(rf"[{IDEOGRAM}]|[^\W{IDEOGRAM}]+")


def words(text: str) -> list[str]:
    """The words of a text, case folded; each ideogram or kana is one.

    >>> words("Hello, 東大 x_1")
    ['hello', '東', '大', 'x_1']
    """
    return WORD.findall(text.casefold())
