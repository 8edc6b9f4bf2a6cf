"""What a model is shown before a text: template, instruction and demonstrations.

Paper: Choi et al., LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438: queries carry an
    instruction and optional demonstrations.
Differs: that documents are plain is our choice; so are the separators of the query string, which
    are not stated there: `Instruct: …`, a new line, `Query: …`, and for a demonstration a further
    line `Response: …` and an empty line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annatto.core.errors import UsageError, nearest
from annatto.core.types import INSTRUCT, Prompt

RESPONSE = "\nResponse: "
NEXT = "\n\n"


def instruct(instruction: str) -> Prompt:
    """The query prompt of an instruction; plain when there is none."""
    return Prompt(INSTRUCT, instruction) if instruction else Prompt.plain()


def render(prompt: Prompt) -> str:
    r"""Everything that stands before the text.

    >>> render(Prompt("Instruct: {instruction}\nQuery: {text}", "Find code.", (("add", "+"),)))
    'Instruct: Find code.\nQuery: add\nResponse: +\n\nInstruct: Find code.\nQuery: '
    """
    frame = prompt.template.removesuffix("{text}").replace("{instruction}", prompt.instruction)
    shown = [f"{frame}{query}{RESPONSE}{document}{NEXT}" for query, document in prompt.demos]
    return "".join(shown) + frame


def find(prompt: str | Prompt, stored: Mapping[str, Prompt]) -> Prompt:
    """The prompt of this name; `query/TASK` falls back to `query`.

    Raises:
        UsageError: the name is not stored; the message lists those that are.
    """
    if isinstance(prompt, Prompt):
        return prompt
    if prompt in stored:
        return stored[prompt]
    if prompt.startswith("query/"):
        return stored["query"]
    raise UsageError(f"no prompt is called '{prompt}'; {nearest(prompt, stored)}.")


def to_json(prompts: Mapping[str, Prompt]) -> dict[str, dict[str, Any]]:
    """Prompts as plain JSON values."""
    return {
        name: {
            "template": prompt.template,
            "instruction": prompt.instruction,
            "demos": [list(demo) for demo in prompt.demos],
        }
        for name, prompt in prompts.items()
    }


def from_json(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Prompt]:
    """The inverse of `to_json`."""
    return {
        name: Prompt(
            value["template"],
            value["instruction"],
            tuple((query, document) for query, document in value["demos"]),
        )
        for name, value in values.items()
    }
