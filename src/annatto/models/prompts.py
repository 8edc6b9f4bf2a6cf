"""What a model is shown around a text: template, instruction and demonstrations.

Paper: Choi et al., LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438: queries carry an
    instruction and optional demonstrations.
Differs: that documents are plain is our choice; so are the separators of the query string, which
    are not stated there: `Instruct: …`, a new line, `Query: …`, and for a demonstration a further
    line `Response: …` and an empty line. `markup` has the separators of bge-en-icl instead. The
    limit of 256 tokens for a side of a demonstration is ours, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from annatto.core.errors import UsageError, nearest
from annatto.core.prompt import INSTRUCT_DEMO, MARKUP, MARKUP_DEMO
from annatto.core.types import INSTRUCT, Prompt
from annatto.models.tokens import Tokenizer

SIDE_TOKENS = 256
"""The most tokens of a demonstration's query, and of its document."""
FIELD = re.compile(r"\{(instruction|query|response)\}")


def instruct(instruction: str) -> Prompt:
    """The query prompt of an instruction; plain when there is none."""
    return Prompt(INSTRUCT, instruction) if instruction else Prompt.plain()


def markup(instruction: str) -> Prompt:
    """The query prompt of an instruction in the markup of bge-en-icl."""
    return Prompt(MARKUP, instruction, demo=MARKUP_DEMO)


def render(prompt: Prompt) -> str:
    r"""Everything that stands before the text; braces in what is put in mean nothing.

    >>> render(Prompt("Instruct: {instruction}\nQuery: {text}", "Find code.", (("add", "+"),)))
    'Instruct: Find code.\nQuery: add\nResponse: +\n\nInstruct: Find code.\nQuery: '
    """
    shown = [
        _filled(prompt.demo, instruction=prompt.instruction, query=query, response=document)
        for query, document in prompt.demos
    ]
    return "".join(shown) + _filled(_frame(prompt)[0], instruction=prompt.instruction)


def suffix(prompt: Prompt) -> str:
    r"""Everything that stands behind the text.

    >>> suffix(markup("Find code."))
    '\n<response>'
    """
    return _filled(_frame(prompt)[1], instruction=prompt.instruction)


def shorten(
    prompt: Prompt, tokenizer: Tokenizer, *, limit: int = SIDE_TOKENS
) -> tuple[Prompt, int]:
    """Cut each side of the demonstrations, so that the Prompt holds exactly what is shown.

    Args:
        prompt: whose demonstrations may be too long.
        tokenizer: of the model that will read them.
        limit: tokens of a query, and of a document; at least 1.

    Returns:
        The prompt, and how many sides were cut.

    Raises:
        UsageError: a limit under 1, or a side must be cut and the tokenizer does not say where
            its tokens begin.
    """
    sides = [side for demo in prompt.demos for side in demo]
    short = tokenizer.shorten(sides, limit)
    cut = sum(old != new for old, new in zip(sides, short, strict=True))
    return replace(prompt, demos=tuple(zip(short[::2], short[1::2], strict=True))), cut


def limit_of(prompt: Prompt, tokenizer: Tokenizer, *, max_tokens: int, window: int) -> int:
    """Tokens that a text behind this prompt may have: demonstrations come on top of `max_tokens`.

    So they take nothing from the text, as far as the model's window allows.
    """
    if not prompt.demos:
        return max_tokens
    bare = render(replace(prompt, demos=()))
    more = tokenizer.length(render(prompt)) - tokenizer.length(bare)
    return min(max_tokens + more, window)


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
            "demo": prompt.demo,
        }
        for name, prompt in prompts.items()
    }


def from_json(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Prompt]:
    """The inverse of `to_json`; without `demo`, a demonstration is shown in the Instruct format.

    Raises:
        UsageError: a template lacks one of its fields, or has it twice.
    """
    return {
        name: Prompt(
            value["template"],
            value["instruction"],
            tuple((query, document) for query, document in value["demos"]),
            value.get("demo", INSTRUCT_DEMO),
        )
        for name, value in values.items()
    }


def _frame(prompt: Prompt) -> tuple[str, str]:
    before, _, after = prompt.template.partition("{text}")
    return before, after


def _filled(template: str, **values: str) -> str:
    """One pass over the template, so that a field named in a value is left as it is."""
    return FIELD.sub(lambda field: values.get(field[1], field[0]), template)
