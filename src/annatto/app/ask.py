"""Ask a searchable folder a question, with the model it was built with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annatto.app.artefacts import load_model
from annatto.core.errors import WeightsError

if TYPE_CHECKING:
    from annatto.index.folder import OpenIndex
    from annatto.search.find import Mode

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "minilm"
DEFAULT_NAME = "all-MiniLM-L6-v2"
SHOWN_LINES = 3
SHOWN_WIDTH = 100


def ask(
    folder: Path,
    texts: Sequence[str],
    *,
    k: int = 5,
    model: str = "",
    mode: str | Mode = "hybrid",
    where: Sequence[str] = (),
    group: str | None = None,
) -> list[dict[str, Any]]:
    """The k best documents for each text, best first; see `search.find`.

    Args:
        folder: an index that `annatto index` or a recipe made.
        texts: questions.
        k: documents for each.
        model: another place of the same model; by default the one the index names.
        mode: `hybrid`, `dense` or `text`.
        where: conditions, such as `year>=2000`.
        group: `parent` for each parent's best only.

    Returns:
        One row per hit: query (its place in `texts`), rank from 1, score (higher = more relevant),
        doc_id, title, text, source, line, and the rank and score in each leg.

    Raises:
        InputError: `folder` is no index.
        WeightsError: it names no model, or its model is not where it was; name it.
        IdentityError: `model` is another model.
        UsageError: an unknown mode or column.
    """
    from annatto.index.folder import open_index
    from annatto.search.find import find

    index = open_index(folder)
    encoder = load_model(settings_of(index, model))
    found = find(index, list(texts), encoder=encoder, k=k, mode=mode, where=where, group=group)
    hits: list[dict[str, Any]] = found.to_pylist()
    return hits


def settings_of(index: OpenIndex, model: str = "") -> dict[str, Any]:
    """How the model of an index is loaded, from `model` if that is named.

    Raises:
        WeightsError: the index names none, and neither does `model`.
    """
    settings = {"weights": model} if model else index.weights
    if "weights" not in settings:  # built from Python, with another encoder
        raise WeightsError(
            f"{index.folder} does not say which model it was built with; name it: --model."
        )
    if str(settings["weights"]).startswith("../"):  # a model beside the index, in the same run
        settings["weights"] = str((index.folder / settings["weights"]).resolve())
    if settings["weights"] == DEFAULT_MODEL:
        logger.info("the model is %s", DEFAULT_NAME)
    return settings


def shown(hit: dict[str, Any], *, explain: bool = False) -> str:
    r"""A hit for people: rank, score, where it is, its title and first lines.

    With `explain`, its rank and score in each leg as well.

    >>> print(shown({"rank": 1, "score": 0.5, "source": "a.md", "line": 7, "title": "A",
    ...              "doc_id": "a.md:7", "text": "first\n\nsecond"}))
     1  0.500  a.md:7  A
        first
        second
    """
    place = hit["source"] or hit["doc_id"]
    if hit["source"] and hit["line"]:
        place = f"{hit['source']}:{hit['line']}"
    title = f"  {hit['title']}" if hit["title"] else ""
    lines = [line.rstrip() for line in hit["text"].splitlines() if line.strip()][:SHOWN_LINES]
    head = f"{hit['rank']:2}  {hit['score']:.3f}  {place}{title}"
    why = [f"    {_explained(hit)}"] if explain else []
    return "\n".join([head, *why, *(f"    {_cut(line)}" for line in lines)])


def _explained(hit: dict[str, Any]) -> str:
    """How each leg found a hit.

    >>> _explained({"dense_rank": 2, "dense_score": 0.5, "text_rank": None, "text_score": None})
    'meaning: rank 2, 0.500; words: not found'
    """
    parts = []
    for name, leg in (("meaning", "dense"), ("words", "text")):
        rank, score = hit[f"{leg}_rank"], hit[f"{leg}_score"]
        parts.append(f"{name}: " + ("not found" if rank is None else f"rank {rank}, {score:.3f}"))
    return "; ".join(parts)


def _cut(line: str) -> str:
    return line if len(line) <= SHOWN_WIDTH else line[: SHOWN_WIDTH - 1] + "…"
