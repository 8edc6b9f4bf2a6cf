"""Ask a judge about the lists of many queries: snippets first, then one order for each list."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from annatto.core.types import Collection
from annatto.mine.judge import Judge, Listing, Passage, Ranking, Snippet
from annatto.mine.lists import JudgedList
from annatto.mine.rules import KEEP, SILENT, Settings, verdicts

UNPLACED = "positive not placed"
NO_RANKING = Ranking(())


@dataclass(frozen=True)
class Outcome:
    """What a judge found in one list, and what follows.

    Attributes:
        judged: the list.
        snippets: one for each place.
        ranking: of the places in `listed`.
        listed: places that were ranked, in the order in which they went into the listing.
        verdicts: place of each negative to its verdict and reason.
        trouble: why nothing was changed; empty when the judge did its work.
    """

    judged: JudgedList
    snippets: Sequence[Snippet]
    ranking: Ranking
    listed: Sequence[int]
    verdicts: dict[int, tuple[str, str]]
    trouble: str = ""

    @property
    def order(self) -> list[int]:
        """Places that were ranked, best first."""
        return [self.listed[i] for i in self.ranking.order]

    @property
    def leaves_negatives(self) -> bool:
        """Whether a negative stays one."""
        return any(verdict == KEEP for verdict, _ in self.verdicts.values())

    @property
    def tokens(self) -> tuple[int, int]:
        """Read and written for this list, and those that were written."""
        asked: list[Snippet | Ranking] = [*self.snippets, self.ranking]
        return sum(one.tokens for one in asked), sum(one.written for one in asked)


def judge_lists(
    collection: Collection, lists: Sequence[JudgedList], judge: Judge, settings: Settings
) -> Iterator[Outcome]:
    """An outcome for each list, in order.

    A list of which the judge left a question unanswered, or whose order cannot be read, is left
    as it is, with the trouble named. So is one whose positives the judge did not place.
    """
    texts = document_texts(collection, lists, settings.max_chars)
    said = judge.extract(list(passages(lists, texts)))
    found = [[said[_key(one, place)] for place in range(len(one.rows))] for one in lists]
    listed = [_listed(one, own) for one, own in zip(lists, found, strict=True)]
    listings = [
        Listing(one.query_id, one.query, tuple(own[i].span or texts[int(one.rows[i])] for i in at))
        for one, own, at in zip(lists, found, listed, strict=True)
        if at
    ]
    rankings = judge.rank(listings)
    for one, own, at in zip(lists, found, listed, strict=True):
        yield _outcome(one, own, rankings.get(one.query_id, NO_RANKING), at, settings)


def passages(lists: Sequence[JudgedList], texts: dict[int, str]) -> Iterator[Passage]:
    """Every document of every list with its query."""
    for one in lists:
        for place, row in enumerate(one.rows.tolist()):
            yield Passage(_key(one, place), one.query, texts[row])


def document_texts(
    collection: Collection, lists: Sequence[JudgedList], max_chars: int
) -> dict[int, str]:
    """Corpus row to the first `max_chars` characters of its title and text."""
    rows = np.unique(np.concatenate([one.rows for one in lists]))
    texts = itertools.chain.from_iterable(collection.document_texts(rows))
    return {row: text[:max_chars] for row, text in zip(rows.tolist(), texts, strict=True)}


def _key(one: JudgedList, place: int) -> str:
    return f"{one.query_id}\0{one.doc_ids[place]}"


def _listed(one: JudgedList, snippets: Sequence[Snippet]) -> list[int]:
    """Places to rank: what holds an answer, and the positives; none where that decides nothing."""
    answering = [place for place in one.negatives if snippets[place].span is not None]
    if not answering or any(snippet.is_failed for snippet in snippets):
        return []
    return sorted([*answering, *one.positives])


def _outcome(
    one: JudgedList,
    snippets: Sequence[Snippet],
    ranking: Ranking,
    listed: Sequence[int],
    settings: Settings,
) -> Outcome:
    kept = dict.fromkeys(one.negatives, (KEEP, SILENT))
    failed = next((snippet.note for snippet in snippets if snippet.is_failed), "")
    if failed or not listed:
        return Outcome(one, snippets, ranking, (), kept, failed)
    if ranking.failure:
        return Outcome(one, snippets, ranking, listed, kept, ranking.failure)
    named = [listed[i] for i in ranking.order if i not in ranking.unnamed]
    best = next((place for place in named if place in set(one.positives)), None)
    if best is None:
        return Outcome(one, snippets, ranking, listed, kept, UNPLACED)
    order = [listed[i] for i in ranking.order]
    found = verdicts(order, one.negatives, best, settings)
    return Outcome(one, snippets, ranking, listed, found)
