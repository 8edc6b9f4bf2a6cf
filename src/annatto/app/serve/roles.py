"""Which prompt a text is shown with: OpenAI's clients send no role, so roles are model names.

`NAME` shows documents, `NAME:query` queries, `NAME:query/TASK` queries of a task; `input_type` says
the role beside a model name, and `instruction` what queries ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar
from urllib.parse import quote

from annatto.app.serve.refusal import Refusal
from annatto.app.serve.served import Served
from annatto.core.types import Prompt
from annatto.models.prompts import instruct

T = TypeVar("T")


class Role(NamedTuple):
    """A prompt, and what the answer's header calls it: the stored name, or `instruction`."""

    prompt: Prompt
    shown: str


def model_of(name: str, models: Mapping[str, T]) -> tuple[T, str]:
    """The model that `NAME` or `NAME:ROLE` means, and the role; empty for none.

    Raises:
        Refusal: 404, no such model.
    """
    for known in sorted(models, key=len, reverse=True):
        if name == known or name.startswith(f"{known}:"):
            return models[known], name[len(known) + 1 :]
    raise Refusal(
        404,
        f"no such model; this server has {', '.join(models)} (add :query for queries).",
        param="model",
        code="model_not_found",
    )


def role_of(served: Served, role: str, input_type: str | None, instruction: str | None) -> Role:
    """The prompt that is meant; what is said apart from the model name counts more.

    Args:
        served: whose prompts.
        role: what stood behind the model's name.
        input_type: a role said apart.
        instruction: what these queries ask for.

    Raises:
        Refusal: 400, no such role, or an instruction for documents.
    """
    if instruction is not None:
        if (input_type or role or "query").partition("/")[0] != "query":
            raise Refusal(
                400,
                "only queries take an instruction; say that role, or none.",
                param="instruction",
            )
        return Role(instruct(instruction), "instruction")
    name = input_type or role or "document"
    if name not in served.prompts and not name.startswith("query/"):
        roles = ", ".join(sorted({*served.prompts, "query/TASK"}))
        where = "input_type" if input_type else "model"
        raise Refusal(
            404 if where == "model" else 400,
            f"{served.name} has no such role; known: {roles}.",
            param=where,
            code="model_not_found" if where == "model" else None,
        )
    shown = name if name in served.prompts else "query"
    return Role(served.prompts[shown], quote(shown, safe="/:"))


def names_of(served: Served) -> list[str]:
    """Every model name this model answers to, but for tasks that are not stored."""
    return [served.name, *(f"{served.name}:{prompt}" for prompt in served.prompts)]
