"""What becomes of each candidate under a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from annatto.core.errors import UsageError
from annatto.core.types import Collection
from annatto.mine.fill import rng_of
from annatto.mine.same import ALIKE, APART, EQUAL, likeness
from annatto.mine.scored import Scored, expand, share_of
from annatto.mine.split import Split, is_among, place_in_query
from annatto.ops.distinct import distinct

KEPT, CLOSE, TWIN, BEYOND, JUDGED, FILL, NEAR, OUTSIDE, SPARED = range(9)
DRAWN = 1
"""Sets the draw of negatives apart from the draw of random documents."""


@dataclass(frozen=True)
class Rule:
    """Which candidates may become negatives, and which of them do.

    Attributes:
        margin: what a negative must stay below: `relative`, the share `rho` of a positive's score;
            `absolute`, a positive's score less `cut`; `none`, nothing.
        rho: of the relative margin; (0, 1].
        cut: of the absolute margin, in the unit of the scores; at least 0.
        positive: of several positives, the `weakest` sets the ceiling; or each its `own`, and what
            any of them picks is a negative of the query: more and harder ones, and some may score
            above a weaker positive.
        first: rank of the best candidate that may be taken, from 1, known positives not counted.
        last: rank of the last one; 0 for no end.
        among: draw the k at random out of so many of the hardest; 0 takes the hardest k.
    """

    margin: Literal["relative", "absolute", "none"] = "relative"
    rho: float = 0.95
    cut: float = 0.05
    positive: Literal["weakest", "own"] = "weakest"
    first: int = 1
    last: int = 0
    among: int = 0

    @property
    def name(self) -> str:
        """The rule in short, as origins of judgments name it.

        >>> Rule().name, Rule("absolute", positive="own", first=11, last=50, among=20).name
        ('relative(rho=0.95)', 'absolute(cut=0.05, own, ranks=11-50, among=20)')
        """
        said = {"relative": [f"rho={self.rho:g}"], "absolute": [f"cut={self.cut:g}"], "none": []}
        parts = list(said[self.margin])
        if self.positive == "own" and self.margin != "none":
            parts.append("own")
        if self.first > 1 or self.last:
            parts.append(f"ranks={self.first}-{self.last or ''}")
        if self.among:
            parts.append(f"among={self.among}")
        return f"{self.margin}({', '.join(parts)})"

    def ceiling(self, scores: np.ndarray) -> np.ndarray:
        """The highest score a negative may have beside positives of these scores; same shape."""
        if self.margin == "relative":
            return share_of(scores, self.rho)
        return scores - self.cut if self.margin == "absolute" else np.full(scores.shape, np.inf)


def require(rule: Rule, k: int, where: str) -> None:
    """Refuse settings that make no sense, before anything is computed.

    Raises:
        UsageError: it names the setting and a value that would do.
    """
    if not 0 < rule.rho <= 1:
        raise UsageError(f"{where} needs rho above 0 and at most 1; found {rule.rho}; try 0.95.")
    if k < 1:
        raise UsageError(f"{where} needs k of at least 1; found {k}; raise it (--negatives).")
    if not rule.cut >= 0:
        raise UsageError(f"{where} needs a cut of at least 0; found {rule.cut}; try 0.05.")
    if rule.first < 1 or (rule.last and rule.last < rule.first):
        raise UsageError(
            f"{where} needs ranks from 1, the last (0 for no end) not before the first; found "
            f"{rule.first} to {rule.last}."
        )
    if rule.among and rule.among < k:
        raise UsageError(
            f"{where} cannot draw {k} negatives among {rule.among}; raise among, or leave it at 0."
        )


@dataclass(frozen=True)
class Ceilings:
    """The highest score a negative may have: one for a query, or one for each of its positives.

    Attributes:
        queries: (g,) int64 rows, ascending.
        tops: (g,) float64; infinite without a margin.
        highest: (q,) float64, the highest of each query's.
    """

    queries: np.ndarray
    tops: np.ndarray
    highest: np.ndarray


def ceilings(asked: Split, found: Scored, rule: Rule) -> Ceilings:
    """What the positives' scores leave to negatives."""
    owners, scores = asked.rows(found.positives)[0], found.positive_scores
    if rule.positive == "weakest":
        weakest = np.full(asked.queries.num_rows, np.inf)
        np.minimum.at(weakest, owners, scores)
        owners, scores = np.arange(len(weakest)), weakest
    tops = rule.ceiling(scores)
    highest = np.full(asked.queries.num_rows, -np.inf)
    np.maximum.at(highest, owners, tops)
    return Ceilings(owners, tops, highest)


def verdicts(
    collection: Collection,
    asked: Split,
    found: Scored,
    below: Ceilings,
    rule: Rule,
    *,
    k: int,
    seed: int,
) -> np.ndarray:
    """(n,) one of KEPT, CLOSE, TWIN, BEYOND, JUDGED, NEAR, OUTSIDE, SPARED per candidate.

    Twins and near-twins are looked for among those that would be kept, until none is left there;
    what is too close or outside the ranks is no negative anyway, and of what is beyond the k
    hardest nothing else is said.
    """
    queries = asked.rows(found.pairs)[0]
    said = np.full(len(found.pairs), BEYOND)
    said[~_is_in_window(queries, found, rule)] = OUTSIDE
    said[found.scores > below.highest[queries]] = CLOSE
    said[is_among(found.pairs, found.judged)] = JUDGED
    tested = np.zeros(len(said), bool)
    while True:
        reach, group = _hardest(queries, found, below, said == BEYOND, max(k, rule.among))
        fresh = distinct(reach[~tested[reach]])
        like = likeness(collection, asked, found.pairs[fresh], found.positives)
        tested[fresh] = True
        said[fresh[like == ALIKE]], said[fresh[like == EQUAL]] = NEAR, TWIN
        if (like == APART).all():
            break
    if rule.among:
        said[reach] = SPARED
        reach = _draw(asked, queries, reach, group, k=k, seed=seed)
    said[reach] = KEPT
    return said


def _is_in_window(queries: np.ndarray, found: Scored, rule: Rule) -> np.ndarray:
    others = np.flatnonzero(~is_among(found.pairs, found.positives))
    ranks = np.zeros(len(found.pairs), np.int64)
    ranks[others] = place_in_query(queries[others]) + 1
    return (ranks >= rule.first) & (ranks <= (rule.last or len(ranks)))


def _hardest(
    queries: np.ndarray, found: Scored, below: Ceilings, is_open: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """The `most` best open candidates below each ceiling, and the number of that ceiling."""
    starts = np.searchsorted(queries, below.queries)
    stops = np.searchsorted(queries, below.queries, side="right")
    candidate, group = expand(starts, stops)
    fits = is_open[candidate] & (found.scores[candidate] <= below.tops[group])
    candidate, group = candidate[fits], group[fits]
    first = place_in_query(group) < most
    return candidate[first], group[first]


def _draw(
    asked: Split, queries: np.ndarray, reach: np.ndarray, group: np.ndarray, *, k: int, seed: int
) -> np.ndarray:
    """At most k candidates of each ceiling, drawn by the seed and the id of its query."""
    drawn = [np.zeros(0, np.int64)]
    borders = np.flatnonzero(np.diff(group, prepend=-1))
    generator, owner = None, -1
    for members in np.split(reach, borders[1:]) if len(reach) else []:
        if queries[members[0]] != owner or generator is None:
            owner = int(queries[members[0]])
            generator = rng_of(asked.query_ids[owner].as_py(), seed, DRAWN)
        drawn.append(generator.permutation(members)[:k])
    return np.concatenate(drawn)
