"""Score the pairs of a collection and kill this process in the batch of a given number, from 0."""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from annatto.core import score
from annatto.core.store import open_collection
from annatto.mine.teach import by_scorer


class Overlap:
    """The scorer of test_mine_teach, which kills its process when it was asked often enough."""

    name = "overlap"

    def __init__(self, left):
        self.left = left

    def score(self, queries, docs):
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        pairs = zip(queries, docs, strict=True)
        return np.array([len({*q.split()} & {*d.split()}) for q, d in pairs], np.float32)


if __name__ == "__main__":
    score.PLANNED = 32
    pooled = open_collection(Path(sys.argv[1]))
    by_scorer(pooled, Overlap(int(sys.argv[3])), work=Path(sys.argv[2]))
