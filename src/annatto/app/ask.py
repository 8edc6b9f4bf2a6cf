"""Ask a searchable folder a question, with the model it was built with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from annatto.app.artefacts import load_model
from annatto.core.errors import WeightsError

if TYPE_CHECKING:
    from annatto.index.folder import OpenIndex

logger = logging.getLogger(__name__)

CUTOFF = "cutoff"
"""Where `annatto calibrate` puts an index's cut-off, inside its folder."""
DEFAULT_MODEL = "minilm"
DEFAULT_NAME = "all-MiniLM-L6-v2"
SHOWN_LINES = 3
SHOWN_WIDTH = 100


def ask(
    folder: Path, texts: Sequence[str], *, k: int = 5, model: str = "", cut: bool = True
) -> list[dict[str, Any]]:
    """The k documents nearest to each text, best first.

    Args:
        folder: an index that `annatto index` or a recipe made.
        texts: questions.
        k: documents for each.
        model: another place of the same model; by default the one the index names.
        cut: leave out, and say so, what is below the index's cut-off, if it has one.

    Returns:
        One row per hit: query (its place in `texts`), rank from 1, score (higher = more relevant),
        doc_id, title, text, source, line; with a cut-off, the probability that it is relevant.

    Raises:
        InputError: `folder` is no index.
        WeightsError: it names no model, or its model is not where it was; name it.
        IdentityError: `model` is another model.
    """
    from annatto.index.folder import open_index

    index = open_index(folder)
    encoder = encoder_of(index, model)
    index.check(encoder)
    vectors = encoder.encode(list(texts), prompt="query")
    hits: list[dict[str, Any]] = index.nearest(vectors, k=k).to_pylist()
    place = folder / CUTOFF
    return relevant(place, encoder, vectors, hits) if cut and place.exists() else hits


def encoder_of(index: OpenIndex, model: str = "") -> Any:
    """The encoder that an index names, or the one at `model`; see `ask` for what it raises."""
    settings = {"weights": model} if model else index.weights
    if "weights" not in settings:  # built from Python, with another encoder
        raise WeightsError(
            f"{index.folder} does not say which model it was built with; name it: --model."
        )
    if str(settings["weights"]).startswith("../"):  # a model beside the index, in the same run
        settings["weights"] = str((index.folder / settings["weights"]).resolve())
    if settings["weights"] == DEFAULT_MODEL:
        logger.info("the model is %s", DEFAULT_NAME)
    return load_model(settings)


def relevant(
    place: Path, encoder: Any, vectors: np.ndarray, hits: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The hits that a cut-off keeps, each with its probability; the log says what was left out.

    Args:
        place: folder of the cut-off.
        encoder: whose vectors these are.
        vectors: (q, d) float32, of the queries.
        hits: rows of a search, with query, rank and a cosine as score.

    Raises:
        IdentityError: the cut-off belongs to another encoder.
        InputError: it is damaged.
    """
    from annatto.search.filter import Cutoff

    cutoff = Cutoff.load(place)
    cutoff.check(encoder)
    cosines = np.full((len(vectors), max((hit["rank"] for hit in hits), default=0)), -np.inf)
    for hit in hits:
        cosines[hit["query"], hit["rank"] - 1] = hit["score"]
    keep, probability = cutoff.keep(vectors, cosines)
    for row, kept in zip(cosines, keep, strict=True):
        found = int(np.isfinite(row).sum())
        if below := found - int(kept.sum()):
            logger.info("%s (--no-cut shows them)", cutoff.reason(below, found))
    at = [(hit["query"], hit["rank"] - 1) for hit in hits]
    return [
        {**hit, "probability": float(probability[cell])}
        for hit, cell in zip(hits, at, strict=True)
        if keep[cell]
    ]


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
