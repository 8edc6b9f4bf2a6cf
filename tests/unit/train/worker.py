"""Train in a process of its own, from files; die by SIGKILL where one is told to.

python worker.py FOLDER reads model/, collection/ and said.json there, and writes
weights-RANK.safetensors and log-RANK.json when the training is done.
"""

import json
import os
import signal
import sys
from pathlib import Path

from safetensors.torch import save_file

from annatto.core.store import open_collection
from annatto.models.embedder import Embedder
from annatto.train import checkpoint, loop, ranks
from annatto.train.metrics import Metrics
from annatto.train.settings import Settings


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def arm(where, step):
    """Die in the given step: before its update, behind its metric row, or in its checkpoint."""
    update, add, save = loop._update, Metrics.add, checkpoint.save

    def before_update(course, optimizer, rows, number):
        return (die if number == step else update)(course, optimizer, rows, number)

    def behind_row(self, row):
        add(self, row)
        if row["step"] == step + 1:
            die()

    def in_checkpoint(work, progress, **rest):
        if progress.done > step:
            checkpoint.write_json = die
        save(work, progress, **rest)

    if where == "update":
        loop._update = before_update
    elif where == "row":
        Metrics.add = behind_row
    elif where == "checkpoint":
        checkpoint.save = in_checkpoint


def main(folder):
    said = json.loads((folder / "said.json").read_text())
    arm(said.get("where"), said.get("step"))
    model = Embedder.load(folder / "model", max_tokens=48)
    trained = loop.train(
        open_collection(folder / "collection"),
        model,
        settings=Settings(**said["settings"]),
        work=folder / "work",
        evaluate=lambda student: float(student.encode(["rare1 river"])[0, 0]),
    )
    rank = ranks.start().rank
    state = {name: t.contiguous() for name, t in trained.model.state_dict().items()}
    save_file(state, folder / f"weights-{rank}.safetensors")
    (folder / f"log-{rank}.json").write_text(
        json.dumps(trained.card["notes"]["log"], sort_keys=True)
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
