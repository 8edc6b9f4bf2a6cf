"""Do our tests and intervals keep what they promise, and are our measures trec_eval's?

    python benchmarks/check_statistics.py
    python benchmarks/check_statistics.py --simulations 200 --runs 50

1. 2,000 simulated pairs of systems without a true difference: how often is one called clear?
   Wanted: 5 % ± 1.5, by what `evaluate.compare` calls clear (interval and randomisation both) and
   by each of the two alone.
2. 2,000 pairs with a known true difference: how often does the 95 % interval hold it?
   Wanted: 95 % ± 1.5.
3. Four systems like a fifth: how often is any of the four called different, with Holm's
   correction and without? Wanted: at most 6.5 % with it.
4. As many queries as `ops.power.queries_needed` says: how often is the difference found?
   Wanted: about 80 %.
5. nDCG@10, R@100 and MRR@10 of 1,000 random runs with ties, missing documents and missing queries,
   against trec_eval (pytrec_eval): the largest difference. Wanted: 1e-9.

Per-query nDCG@10 is drawn from two populations, each of 100,000 queries: `one positive` (0 or
1 / log2(1 + rank), as in question answering sets) and `graded` (many zeros, otherwise anything in
0 to 1). A query's difficulty is shared by its systems. A true difference is the population's mean.
All samples are drawn as `ops.significance` draws them, but for all simulations at once; the figures
are compared with its functions first. The last line is JSON.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path

import numpy as np
from measure import commit

from annatto.ops.power import queries_needed
from annatto.ops.significance import (
    holm,
    paired_bootstrap,
    paired_randomisation,
    resamples,
    signs,
)

POPULATION = 100_000
SIZES = (50, 200, 1000)
SAMPLES = 4000
FAMILY = 4
BAND = 0.015


def one_positive(easier: float, rng: np.random.Generator) -> np.ndarray:
    """(POPULATION, 2) nDCG@10 of queries with a single positive; the second system is better."""
    difficulty = rng.normal(1.2, 1.5, POPULATION)
    noise = rng.normal(0, 0.7, (2, POPULATION))
    ranks = np.floor(np.exp(difficulty - np.array([[0.0], [easier]]) + noise)) + 1
    return np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0).T


def graded(easier: float, rng: np.random.Generator) -> np.ndarray:
    """(POPULATION, 2) nDCG@10 of queries with several positives: a third are 0."""
    difficulty = rng.normal(0, 1.2, POPULATION)
    noise = rng.normal(0, 0.8, (2, POPULATION))
    heights = noise - difficulty + np.array([[-0.5], [easier - 0.5]])
    return np.where(heights > -1.2, 1 / (1 + np.exp(-heights)), 0).T


POPULATIONS = {"one positive": one_positive, "graded": graded}


def differences(name: str, easier: float, seed: int) -> np.ndarray:
    """(POPULATION,) after − before; without `easier` each also stands there with the other sign."""
    values = POPULATIONS[name](easier, np.random.default_rng(seed))
    found = values[:, 1] - values[:, 0]
    return found if easier else np.concatenate([found, -found])


def draw(population: np.ndarray, queries: int, times: int, seed: int) -> np.ndarray:
    """(queries, times): each column one experiment on fresh queries."""
    rng = np.random.default_rng(seed)
    return population[rng.integers(len(population), size=(queries, times))]


def intervals(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of every column, as `paired_bootstrap` finds them."""
    queries = len(x)
    means = []
    for drawn in resamples(queries, SAMPLES, 0):
        places = drawn + queries * np.arange(len(drawn))[:, None]
        counts = np.bincount(places.ravel(), minlength=drawn.size).reshape(drawn.shape)
        means.append(counts @ (x / queries))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975], axis=0)
    return low, high


def randomised(x: np.ndarray) -> np.ndarray:
    """p of every column, as `paired_randomisation` finds them."""
    observed = np.abs(x.mean(axis=0)) - 1e-12
    drawn = signs(len(x), SAMPLES, 0)
    larger = sum((np.abs(one @ x) / len(x) >= observed).sum(axis=0) for one in drawn)
    return (1 + larger) / (SAMPLES + 1)


def agreement(x: np.ndarray) -> float:
    """Largest difference of an interval's end or a p from our own functions', of ten columns."""
    (low, high), p = intervals(x[:, :10]), randomised(x[:, :10])
    zero = np.zeros(len(x))
    away = []
    for i in range(10):
        ours = paired_bootstrap(x[:, i], zero, samples=SAMPLES)
        theirs = paired_randomisation(x[:, i], zero, samples=SAMPLES)
        away += [abs(ours.low - low[i]), abs(ours.high - high[i]), abs(theirs - p[i])]
    return float(max(away))


def check(name: str, queries: int, times: int) -> dict[str, float | str]:
    """False alarms without a difference, and coverage with one."""
    nothing = draw(differences(name, 0, 1), queries, times, 2)
    low, high = intervals(nothing)
    p = randomised(nothing)
    population = differences(name, 0.3, 3)
    some = draw(population, queries, times, 4)
    truth = population.mean()
    ends = intervals(some)
    alarms = (low > 0) | (high < 0)
    return {
        "population": name,
        "queries": queries,
        "true difference": round(float(truth), 4),
        "zeros": round(float((population == 0).mean()), 3),
        "alarms by interval": float(alarms.mean()),
        "alarms by randomisation": float((p <= 0.05).mean()),
        "alarms by both": float((alarms & (p <= 0.05)).mean()),
        "coverage": float(((ends[0] <= truth) & (truth <= ends[1])).mean()),
    }


def families(times: int) -> dict[str, float]:
    """Share of families of four comparisons with one system that hold a false alarm."""
    rng = np.random.default_rng(6)
    difficulty = rng.normal(1.2, 1.5, (200, times))
    noise = rng.normal(0, 0.7, (FAMILY + 1, 200, times))
    ranks = np.floor(np.exp(difficulty + noise)) + 1
    values = np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0)
    p = np.stack([randomised(values[i + 1] - values[0]) for i in range(FAMILY)])
    corrected = np.array([holm(column) for column in p.T])
    return {
        "uncorrected": float((p <= 0.05).any(axis=0).mean()),
        "Holm": float((corrected <= 0.05).any(axis=1).mean()),
    }


def found_at_size(name: str, times: int) -> dict[str, float | str]:
    """How often the number of queries that `queries_needed` names finds the difference."""
    population = differences(name, 0.3, 7)
    queries = queries_needed(population.mean(), population.std())
    p = randomised(draw(population, queries, times, 8))
    return {"population": name, "queries": queries, "found": float((p <= 0.05).mean())}


def golden():
    """The test of our measures against trec_eval, which holds the random runs."""
    place = Path(__file__).parents[1] / "tests" / "golden" / "test_golden_trec_eval.py"
    spec = importlib.util.spec_from_file_location("test_golden_trec_eval", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--simulations", type=int, default=2000)
    words.add_argument("--runs", type=int, default=1000)
    asked = words.parse_args()
    away = agreement(draw(differences("graded", 0.3, 3), 200, 10, 9))
    rows = [check(name, size, asked.simulations) for name in POPULATIONS for size in SIZES]
    for row in rows:
        print(row)
    several = families(asked.simulations)
    power = [found_at_size(name, asked.simulations) for name in POPULATIONS]
    trec = golden().largest_difference(asked.runs, seed=0)
    print(several, power, trec, sep="\n")
    held = {
        way: all(abs(row[f"alarms by {way}"] - 0.05) <= BAND for row in rows)
        for way in ("both", "randomisation", "interval")
    }
    covered = all(abs(row["coverage"] - 0.95) <= BAND for row in rows)
    told = {
        "name": "check_statistics",
        "simulations": asked.simulations,
        "agree": away,
        "false alarms 5 % ± 1.5": held,
        "coverage 95 % ± 1.5": covered,
        "families": several,
        "power": power,
        "trec_eval": trec,
        "commit": commit(),
        "rows": rows,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
