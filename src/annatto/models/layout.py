"""A model folder that annatto and sentence-transformers read alike.

config.json, *.safetensors, tokenizer files            the transformer, float32
modules.json, 1_Pooling/, 2_Normalize/, …              what sentence-transformers reads
annatto.json                                           pooling, prompts, limit, probe vectors
card.json                                              kind, weights_id, how it was made
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annatto.core.atomic import read_card, read_json
from annatto.core.errors import UsageError, WeightsError
from annatto.core.types import Prompt
from annatto.models.prompts import from_json, render, suffix

logger = logging.getLogger(__name__)

OURS = "annatto.json"
AGAIN = "save, fetch or train the model again"
POOLING_WORDS = {"last": "lasttoken", "mean": "mean", "first": "cls"}
POOLING_FLAGS = {
    "pooling_mode_lasttoken": "last",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "first",
}
ROLES = {"query": ("query",), "document": ("document", "passage", "corpus")}
"""Prompt names that stand for a role, first to last; after them the default prompt."""
MODULES = (
    ("0", "", "Transformer"),
    ("1", "1_Pooling", "Pooling"),
    ("2", "2_Normalize", "Normalize"),
)


@dataclass(frozen=True)
class Reading:
    """How a folder says its texts are to be read; None where it does not say.

    Attributes:
        transformer: the folder of the transformer itself.
        pooling: `last`, `mean` or `first`.
        max_tokens: limit, special tokens included.
        prompts: by name.
        name: what the model is called.
        weights_id: the identity it was saved with.
    """

    transformer: Path
    pooling: str | None = None
    max_tokens: int | None = None
    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    name: str | None = None
    weights_id: str | None = None


def read(folder: Path) -> Reading:
    """What `folder` says: ours first, then sentence-transformers' files, then nothing.

    Raises:
        WeightsError: a field is missing, or sentence-transformers' files ask for something that
            annatto cannot reproduce.
        InputError: a file is not JSON.
    """
    if (folder / OURS).exists():
        with _sensible(folder / OURS):
            said = read_card(folder / OURS)
            return Reading(
                folder,
                said["pooling"],
                said["max_tokens"],
                from_json(said["prompts"]),
                said["name"],
                said["weights_id"],
            )
    if (folder / "modules.json").exists():
        with _sensible(folder / "modules.json"):
            return _read_modules(folder)
    return Reading(folder)


@contextlib.contextmanager
def _sensible(path: Path) -> Iterator[None]:
    """Turn what a field that is missing or of another kind leads to into one sentence."""
    try:
        yield
    except KeyError as error:
        raise WeightsError(f"{path} does not say {error.args[0]}; {AGAIN}.") from error
    except UsageError as error:
        raise WeightsError(f"{path}: {error}") from error
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path}, or a file it names, makes no sense ({error}); {AGAIN}."
        ) from error


def write_modules(
    folder: Path, *, pooling: str, dim: int, max_tokens: int, prompts: Mapping[str, Prompt]
) -> None:
    """Write the files by which sentence-transformers gives the same vectors.

    It knows prompts as prefixes only; what a prompt puts behind the text is logged as a warning.
    """
    for name, prompt in prompts.items():
        if suffix(prompt):
            logger.warning(
                "sentence-transformers puts nothing behind a text: append %r to every text that "
                "it shows with the prompt '%s'",
                suffix(prompt),
                name,
            )
    modules = [
        {"idx": i, "name": name, "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (name, path, kind) in enumerate(MODULES)
    ]
    flags = {flag: how == pooling for flag, how in POOLING_FLAGS.items()}
    shown = {name: render(prompt) for name, prompt in prompts.items()}
    files = {
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": max_tokens, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": dim, **flags},
        "config_sentence_transformers.json": {
            "prompts": shown,
            "default_prompt_name": "document" if shown["document"] else None,
            "similarity_fn_name": "cosine",
        },
    }
    (folder / "1_Pooling").mkdir()
    (folder / "2_Normalize").mkdir()
    (folder / "2_Normalize" / ".keep").touch()  # tools that copy files only must not lose it
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value, indent=1) + "\n")


def _read_modules(folder: Path) -> Reading:
    modules = read_json(folder / "modules.json")
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    strange = [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
    if strange or kinds[:2] != ["Transformer", "Pooling"]:
        raise WeightsError(
            f"{folder} is made of {', '.join(kinds)}; annatto reads Transformer, Pooling and "
            "Normalize: give the transformer's own folder instead."
        )
    transformer = folder / modules[0]["path"]
    texts = _optional(transformer / "sentence_bert_config.json")
    if texts.get("do_lower_case"):
        raise WeightsError(
            f"{folder} lowers the case of its texts (do_lower_case), which annatto does not; "
            "give another model."
        )
    return Reading(
        transformer,
        _pooling(folder / modules[1]["path"]),
        texts.get("max_seq_length"),
        _prompts(_optional(folder / "config_sentence_transformers.json")),
    )


def _prompts(said: Mapping[str, Any]) -> dict[str, Prompt]:
    """The stored prompts; those of both roles are found as sentence-transformers says it does."""
    prompts = {
        name: Prompt("{instruction}{text}", text) if text else Prompt.plain()
        for name, text in (said.get("prompts") or {}).items()
    }
    for role, names in ROLES.items():
        found = [n for n in (*names, said.get("default_prompt_name")) if n in prompts]
        if found:
            prompts[role] = prompts[found[0]]
    return prompts


def _pooling(folder: Path) -> str:
    said = read_card(folder / "config.json")
    if said.get("include_prompt") is False:
        raise WeightsError(
            f"{folder}/config.json leaves the prompt out of the pooling (include_prompt), which "
            "annatto does not; give another model."
        )
    on = [how for flag, how in POOLING_FLAGS.items() if said.get(flag)]
    on += [how for how, word in POOLING_WORDS.items() if said.get("pooling_mode") == word]
    if len(on) != 1:
        raise WeightsError(
            f"{folder}/config.json asks for a pooling annatto does not have; last, mean and first "
            "token can be used."
        )
    return on[0]


def _optional(path: Path) -> dict[str, Any]:
    return read_card(path) if path.exists() else {}
