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

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "minilm"
DEFAULT_NAME = "all-MiniLM-L6-v2"
SHOWN_LINES = 3
SHOWN_WIDTH = 100


def ask(folder: Path, texts: Sequence[str], *, k: int = 5, model: str = "") -> list[dict[str, Any]]:
    """The k documents nearest to each text, best first.

    Args:
        folder: an index that `annatto index` or a recipe made.
        texts: questions.
        k: documents for each.
        model: another place of the same model; by default the one the index names.

    Returns:
        One row per hit: query (its place in `texts`), rank from 1, score (higher = more relevant),
        doc_id, title, text, source, line.

    Raises:
        InputError: `folder` is no index.
        WeightsError: it names no model, or its model is not where it was; name it.
        IdentityError: `model` is another model.
    """
    from annatto.index.folder import open_index

    index = open_index(folder)
    settings = {"weights": model} if model else weights_of(index, folder)
    if settings["weights"] == DEFAULT_MODEL:
        logger.info("the model is %s", DEFAULT_NAME)
    encoder = load_model(settings)
    hits: list[dict[str, Any]] = index.search(encoder, list(texts), k=k).to_pylist()
    return hits


def weights_of(index: OpenIndex, folder: Path) -> dict[str, Any]:
    """How the index's model can be loaded; one beside the index, in the same run, is found there.

    Raises:
        WeightsError: the index does not say.
    """
    settings = index.weights
    if "weights" not in settings:  # built from Python, with another encoder
        raise WeightsError(
            f"{folder} does not say which model it was built with; name it: --model."
        )
    if str(settings["weights"]).startswith("../"):
        settings["weights"] = str((folder / settings["weights"]).resolve())
    return settings


def shown(hit: dict[str, Any]) -> str:
    r"""A hit for people: rank, score, where it is, its title and first lines.

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
    return "\n".join([head, *(f"    {_cut(line)}" for line in lines)])


def _cut(line: str) -> str:
    return line if len(line) <= SHOWN_WIDTH else line[: SHOWN_WIDTH - 1] + "…"
