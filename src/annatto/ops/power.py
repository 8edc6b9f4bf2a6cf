"""How many queries a difference between two systems needs to be seen.

By the normal approximation: the mean of q paired differences with standard deviation s has a
standard error of s / √q; a difference is seen where its two-sided test rejects at 1 − level.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from annatto.core.errors import UsageError


def queries_needed(
    difference: float, spread: float, *, level: float = 0.95, power: float = 0.8
) -> int:
    """How many queries show a true difference of this size with this chance; at least 2.

    Args:
        difference: of the means, in the measure's unit; the sign does not matter, 0 is refused.
        spread: standard deviation of the queries' differences (`ops.significance.spread`).
        level: of the interval that must leave 0 out, in (0, 1).
        power: the chance that it does, in (0.5, 1).

    Raises:
        UsageError: the difference is 0, the spread below 0, or level or power out of range.

    >>> queries_needed(0.02, 0.2)
    785
    """
    if difference == 0:
        raise UsageError("no number of queries shows a difference of 0; name another difference.")
    return max(2, math.ceil((_errors(spread, level, power) / difference) ** 2))


def detectable(spread: float, queries: int, *, level: float = 0.95, power: float = 0.8) -> float:
    """The smallest true difference that so many queries show with this chance; ≥ 0.

    Args:
        spread: standard deviation of the queries' differences.
        queries: how many there are, at least 1.
        level: of the interval that must leave 0 out, in (0, 1).
        power: the chance that it does, in (0.5, 1).

    Raises:
        UsageError: no query, the spread below 0, or level or power out of range.

    >>> round(detectable(0.2, 785), 3)
    0.02
    """
    if queries < 1:
        raise UsageError(f"a difference needs at least 1 query to be seen; found {queries}.")
    return _errors(spread, level, power) / math.sqrt(queries)


def _errors(spread: float, level: float, power: float) -> float:
    """How many standard errors a difference must be wide, times `spread`."""
    if spread < 0 or not 0 < level < 1 or not 0.5 < power < 1:
        raise UsageError(
            "a number of queries needs a spread of at least 0, a level in (0, 1) and a power in "
            f"(0.5, 1); found spread={spread}, level={level}, power={power}."
        )
    normal = NormalDist()
    return (normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)) * spread
