"""The first step's loss and summed gradients, in one process or in several under torchrun.

python ranks_worker.py FOLDER reads model/, collection/ and said.json there, and writes
gradients-WORLD-RANK.safetensors and told-WORLD-RANK.json.
"""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from annatto.core.store import open_collection
from annatto.models.embedder import Embedder
from annatto.train import course, student
from annatto.train.loop import train
from annatto.train.settings import Settings


def main(folder):
    student.is_mixed = lambda *_: False  # bfloat16 would round away what is compared
    said = json.loads((folder / "said.json").read_text())
    settings = Settings(**said)
    model = Embedder.load(folder / "model", max_tokens=48)
    collection = open_collection(folder / "collection")
    made = course.prepare(collection, model, settings, evaluate=None, work=None)
    ranks = made.step.ranks
    made.step.model.model.double()  # in float32 other chunks alone round by 3e-6
    loss = course.learn(made, course.lesson(made, np.arange(6), 0), 0)
    ranks.add_gradients(made.step.model.model.parameters())
    named = made.step.model.model.named_parameters()
    found = {name: p.grad.contiguous() for name, p in named if p.grad is not None}
    place = f"{ranks.world}-{ranks.rank}"
    save_file(found, folder / f"gradients-{place}.safetensors")
    work = folder / f"work-{ranks.world}"
    evaluated = dataclasses.replace(settings, evaluate_every=2)
    trained = train(collection, model, settings=evaluated, work=work, evaluate=_score)
    told = {"loss": loss, "log": trained.card["notes"]["log"], "weights_id": trained.weights_id}
    (folder / f"told-{place}.json").write_text(json.dumps(told))


def _score(student):
    return float(student.encode(["rare1 river"])[0, 0])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
