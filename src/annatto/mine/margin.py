"""Hard negatives that score clearly below the positive."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from annatto.core.tables import concat
from annatto.core.types import Collection
from annatto.mine import decide, verdicts
from annatto.mine.fill import fill as fill_up
from annatto.mine.scored import scored
from annatto.mine.split import open_split, with_card
from annatto.mine.verdicts import Rule
from annatto.ops.distinct import distinct

VERSION = 3
STAGE = "mine.margin.relative"
CHOOSE = "mine.margin.choose"


def require(*, rho: float, k: int) -> None:
    """Refuse settings that make no sense, before anything is computed."""
    verdicts.require(Rule(rho=rho), k, STAGE)


def relative(
    collection: Collection,
    *,
    source: str,
    k: int = 7,
    rho: float = 0.95,
    split: str = "train",
    seed: int = 0,
    fill: bool = True,
) -> Collection:
    """Keep, for each query, the k best candidates that score clearly below its positives.

    A candidate n of query q stays if s(q, n) <= s+ - (1 - rho) * |s+|, where s+ is the score of
    the weakest positive; anything above that may well be a positive nobody judged. What stays
    becomes a JUDGMENT of grade 0 and origin `mined:relative(rho=RHO)`; every candidate gets a
    DECISION. Judgments that are there already are never changed.

    Paper: LG-ANNA, LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438; its rule, 95 % of
        the positive's score, after NV-Retriever's TopK-PercPos, as read second-hand in reviews of
        its extended version (which print the inequality the wrong way round).
    Differs: our choices, which the paper does not state: the form above, equal to
        s(q, n) <= rho * s+ for positive scores and right for negative ones; k = 7; the weakest of
        several positives; texts equal to a positive (ignoring case and white space), or sharing
        80 % of its 3-word shingles, are skipped; short lists are filled with random documents
        (origin `mined:random`), never with rejected ones; ties are broken by doc_id.

    Args:
        collection: with candidates of `source` for every positive of the split.
        source: whose scores to read, such as `teacher:NAME`; higher = more relevant.
        k: negatives per query.
        rho: share of the weakest positive's score that a negative may reach; (0, 1].
        split: whose queries.
        seed: of the random documents; a query draws the same whatever the others are.
        fill: fill short lists with random documents.

    Raises:
        SchemaError: the source or the split is absent, or a positive has no score of `source`.
        UsageError: rho or k out of range.
    """
    said: dict[str, Any] = {"source": source, "k": k, "split": split, "seed": seed, "fill": fill}
    return _mined(collection, Rule(rho=rho), STAGE, said, {"rho": rho})


def choose(
    collection: Collection,
    *,
    source: str,
    settings: Rule,
    k: int = 7,
    split: str = "train",
    seed: int = 0,
    fill: bool = True,
) -> Collection:
    """Keep k candidates of each query by any rule: see `Rule`, and `relative` for all else.

    With one ceiling for each positive (`positive = "own"`) a query may get more than k.

    Paper: de Souza P. Moreira et al., NV-Retriever, 2024, arXiv:2407.15831, its family of mining
        methods (naive top-k, top-k shifted by a number of ranks, absolute and relative margins,
        sampled top-k), read second-hand.
    Differs: margins, ranks and the draw can be combined, all of it below one or several positives;
        known positives do not count as ranks; what `relative` says of twins, fill and ties.

    Args:
        collection: with candidates of `source` for every positive of the split.
        source: whose scores to read, such as `teacher:NAME`; higher = more relevant.
        settings: the rule; in a recipe its fields are keys of the stage.
        k: negatives per query, or for each positive.
        split: whose queries.
        seed: of the draw and of the random documents.
        fill: fill short lists with random documents.

    Raises:
        SchemaError: the source or the split is absent, or a positive has no score of `source`.
        UsageError: a setting out of range.
    """
    said: dict[str, Any] = {"source": source, "k": k, "split": split, "seed": seed, "fill": fill}
    return _mined(collection, settings, CHOOSE, said, asdict(settings))


def _mined(
    collection: Collection, rule: Rule, stage: str, said: dict[str, Any], more: dict[str, Any]
) -> Collection:
    verdicts.require(rule, said["k"], stage)
    asked = open_split(collection, said["split"], stage)
    found = scored(collection, asked, said["source"], stage)
    below = verdicts.ceilings(asked, found, rule)
    k, seed = said["k"], said["seed"]
    ends = verdicts.verdicts(collection, asked, found, below, rule, k=k, seed=seed)
    kept = found.pairs[ends == verdicts.KEPT]
    missing = k - np.bincount(asked.rows(kept)[0], minlength=asked.queries.num_rows)
    known = distinct(found.pairs, found.judged)
    wanted = missing if said["fill"] else np.zeros_like(missing)
    filled = fill_up(collection, asked, wanted, known=known, positives=found.positives, seed=seed)
    mined = concat(
        [
            collection.judgments,
            decide.judgments(asked, kept, f"mined:{rule.name}"),
            decide.judgments(asked, filled, "mined:random"),
        ]
    )
    rows = decide.decisions(asked, found, below, ends, filled, stage=stage)
    counted = decide.counts(ends, filled, missing)
    notes = {"split": said["split"], "source": said["source"], **counted}
    decided = decide.decided(collection.with_judgments(mined, stage), asked, rows, stage)
    return with_card(decided, stage, settings={**said, **more}, sources={}, notes=notes)
