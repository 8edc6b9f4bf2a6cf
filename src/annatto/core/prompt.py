"""How a text is shown to a model: the Prompt, its two named formats, and which query gets which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from annatto.core.errors import UsageError

INSTRUCT = "Instruct: {instruction}\nQuery: {text}"
"""LG-ANNA's query format, used when a row of QUERIES brings an instruction of its own."""
INSTRUCT_DEMO = "Instruct: {instruction}\nQuery: {query}\nResponse: {response}\n\n"
"""A demonstration in the same format."""
MARKUP = "<instruct>{instruction}\n<query>{text}\n<response>"
"""The query format of bge-en-icl; its text is not last."""
MARKUP_DEMO = "<instruct>{instruction}\n<query>{query}\n<response>{response}\n\n"
"""A demonstration in the same format."""


@dataclass(frozen=True)
class Prompt:
    """How a text is shown to a model.

    Attributes:
        template: holds `{text}` once, and `{instruction}` where the instruction goes.
        instruction: what the task is; put into both templates.
        demos: (query, document) examples put before everything else; see `models.prompts`.
        demo: the template of one example; holds `{query}` and `{response}` once each.
    """

    template: str = "{text}"
    instruction: str = ""
    demos: tuple[tuple[str, str], ...] = ()
    demo: str = INSTRUCT_DEMO

    def __post_init__(self) -> None:
        _once(self.template, ("{text}",), "a prompt template")
        _once(self.demo, ("{query}", "{response}"), "the template of a demonstration")

    @classmethod
    def plain(cls) -> Self:
        """The text as it is."""
        return cls()


def query_prompts(queries: pa.Table) -> Iterator[tuple[str | Prompt, np.ndarray]]:
    """Group queries by the prompt they are to be shown with.

    Args:
        queries: QUERIES.

    Yields:
        The prompt (`query/TASK`, or an INSTRUCT prompt for rows with an instruction of their own)
        and the rows (n,) int64 it holds for; every row exactly once.
    """
    own = ["instruction"] if "instruction" in queries.column_names else []
    rows = queries.select(["task", *own]).append_column("row", pa.array(range(queries.num_rows)))
    groups = rows.group_by(["task", *own], use_threads=False).aggregate([("row", "list")])
    for group in groups.to_pylist():
        instruction = group.get("instruction")
        name = f"query/{group['task']}" if group["task"] else "query"
        prompt = Prompt(INSTRUCT, instruction) if instruction else name
        yield prompt, np.array(group["row_list"], np.int64)


def _once(template: str, fields: tuple[str, ...], what: str) -> None:
    for field in fields:
        if template.count(field) != 1:
            raise UsageError(
                f"{what} must hold {field} exactly once; found it {template.count(field)} times "
                f"in {template!r}."
            )
