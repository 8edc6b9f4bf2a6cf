"""Train a reranker in a process of its own; die by SIGKILL behind the steps one names.

python reranker_worker.py FOLDER [STEP] reads model/ and collection/ there, and writes out/; with
torchrun in float32, as bfloat16 would round away what is compared.
"""

import os
import signal
import sys
from pathlib import Path

from annatto.core.store import open_collection
from annatto.train import ranks, reranker, reranker_course
from annatto.train.metrics import Metrics
from annatto.train.reranker_settings import RerankerSettings

SETTINGS = RerankerSettings(
    steps=10, batch_size=5, negatives=3, max_tokens=96, checkpoint_every=3, lora_rank=4
)


def main(folder, step):
    add = Metrics.add

    def behind_row(self, row):
        add(self, row)
        if row["step"] == step:
            os.kill(os.getpid(), signal.SIGKILL)

    Metrics.add = behind_row
    if ranks.start().world > 1 or (folder / "float32").exists():
        reranker_course.auto_dtype = reranker.auto_dtype = lambda: "float32"
    collection = open_collection(folder / "collection")
    made = reranker.train(collection, folder / "model", settings=SETTINGS, work=folder / "work")
    if ranks.start().is_first:
        made.save(folder / "out")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
