"""The k best of each query so far, as keys: score and tie order packed into one integer."""

from __future__ import annotations

import numpy as np

LOW = np.uint64(0xFFFFFFFF)
SIGN = np.uint32(0x80000000)
ROOM = 64
"""Fewest keys per query that may wait to be compared."""
WORD = 8
"""Comparisons that are looked at together."""
GROUP = 4
"""Scores of which the best stands for all, where a bar is sought."""


class Best:
    """The k best keys of each query, and a waiting room of k more (64 at least).

    A score that reaches the bar, such as the k-th best when keys were last compared, is put into
    the room. Keys are compared with each other only when the room of a query is full. So nearly
    all scores are looked at once and dropped, and the rest are moved a few times.

    Args:
        queries: q, how many.
        k: keys kept of each.
    """

    def __init__(self, queries: int, k: int) -> None:
        self.k = k
        self._keys = np.zeros((queries, k + max(k, ROOM)), np.uint64)
        self._used = np.zeros(queries, np.int64)
        self._bar = np.full(queries, -np.inf, np.float32)
        self._space = np.empty(0, bool)  # fresh memory for each block costs as much as comparing

    def offer(self, first: int, scores: np.ndarray, low: np.ndarray) -> None:
        """Look at scores that no query has seen yet.

        Args:
            first: the query of the first row of `scores`.
            scores: (b, m) float32, no NaN.
            low: (m,) uint64 below 2**32, of equal scores the larger one is better.
        """
        own = slice(first, first + len(scores))
        reach = self._reaching(own, scores)
        if np.count_nonzero(reach) > len(scores) * self.k and scores.shape[1] > self.k:
            self._raise(own, scores)
            reach = self._reaching(own, scores)
        hits, counts = _places(reach)
        if (self._used[own] + counts).max(initial=0) > self._keys.shape[1]:
            self._settle(own, self._keys[own])
            hits, counts = _places(self._reaching(own, scores))
        query, column = np.divmod(hits, max(scores.shape[1], 1))
        found = keys_of(scores[query, column], low[column])
        place = np.arange(len(hits)) - (np.cumsum(counts) - counts)[query]
        most = int(counts.max(initial=0))
        if self.k + most > self._keys.shape[1]:
            self._take_many(own, found, query, place, most)
            return
        self._keys[own][query, self._used[own][query] + place] = found
        self._used[own] += counts

    def done(self) -> np.ndarray:
        """(q, k) uint64 keys, best first; 0 where there were fewer."""
        self._settle(slice(None), self._keys)
        best = np.sort(self._keys[:, : self.k], axis=1)
        return best[:, ::-1]

    def _reaching(self, own: slice, scores: np.ndarray) -> np.ndarray:
        """(b, m) bool, which scores reach their query's bar; overwritten by the next call."""
        if self._space.size < scores.size:
            self._space = np.empty(scores.size, bool)
        reach = self._space[: scores.size].reshape(scores.shape)
        return np.asarray(np.greater_equal(scores, self._bar[own, None], out=reach))

    def _raise(self, own: slice, scores: np.ndarray) -> None:
        """Lift the bar to about the k-th best of these scores, when too many of them reach it.

        It is the k-th best of the groups' best, which at least k scores reach.
        """
        width = scores.shape[1] // GROUP
        if width > self.k:
            groups = scores[:, : GROUP * width].reshape(len(scores), GROUP, width)
            scores = groups.max(axis=1)
        place = scores.shape[1] - self.k
        least = np.partition(scores, place, axis=1)[:, place]
        self._bar[own] = np.maximum(self._bar[own], least)

    def _take_many(
        self, own: slice, found: np.ndarray, query: np.ndarray, place: np.ndarray, most: int
    ) -> None:
        """Take more keys than there is room for, as of many equal scores; the room is empty."""
        wide = np.zeros((len(self._used[own]), self.k + most), np.uint64)
        wide[:, : self.k] = self._keys[own, : self.k]
        wide[query, self.k + place] = found
        self._settle(own, wide)

    def _settle(self, own: slice, keys: np.ndarray) -> None:
        ordered = np.partition(keys, keys.shape[1] - self.k, axis=1)[:, -self.k :]
        self._keys[own, : self.k] = ordered
        self._keys[own, self.k :] = 0
        self._used[own] = self.k
        self._bar[own] = np.maximum(self._bar[own], scores_of(ordered[:, 0]))


def keys_of(scores: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Unsigned integers in the order of (score, low); zero is below every one of them."""
    bits = (scores + np.float32(0)).view(np.uint32)  # + 0 makes −0 equal 0
    ordered = np.where(bits & SIGN, ~bits, bits | SIGN)
    keys: np.ndarray = (ordered.astype(np.uint64) << np.uint64(32)) | low
    return keys


def best_first(groups: np.ndarray, scores: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """(n,) int64 order by group, then score descending, then the larger tie order first.

    One sort of whole numbers; only scores that are alike as float32 are compared once more.

    Args:
        groups: (n,) int from 0, below 2**32.
        scores: (n,) float, no NaN.
        ties: (n,) int.

    >>> best_first(np.array([1, 0, 0]), np.array([0.5, 0.2, 0.7]), np.zeros(3, int)).tolist()
    [2, 1, 0]
    """
    places = ~keys_of(scores.astype(np.float32), np.zeros(1, np.uint64)) >> np.uint64(32)
    keys = (groups.astype(np.uint64) << np.uint64(32)) | places
    order = np.argsort(keys)
    alike = np.diff(keys[order]) == 0
    at = np.flatnonzero(np.append(alike, False) | np.append(False, alike))
    tied = order[at]
    order[at] = tied[np.lexsort((-ties[tied], -scores[tied], keys[tied]))]
    return np.asarray(order)


def scores_of(keys: np.ndarray) -> np.ndarray:
    """The scores in keys, float32; −inf where a key is zero."""
    ordered = (keys >> np.uint64(32)).astype(np.uint32)
    bits = np.where(ordered & SIGN, ordered ^ SIGN, ~ordered)
    return np.where(keys == 0, np.float32(-np.inf), bits.view(np.float32))


def _places(reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the flat (b, m) bools are true, and how often in each row."""
    flat = reach.ravel()
    if len(flat) % WORD:
        hits = np.flatnonzero(flat)
    else:
        words = np.flatnonzero(flat.view(np.uint64) != 0)  # few: most are eight times False
        word, byte = np.nonzero(flat.reshape(-1, WORD)[words])
        hits = words[word] * WORD + byte
    query = hits // max(reach.shape[1], 1)
    return hits, np.bincount(query, minlength=len(reach))
