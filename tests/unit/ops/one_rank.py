"""One of several processes of `test_ops_ranks`: loss and summed gradients of its shares.

    python one_rank.py RANK FOLDER

Reads `FOLDER/cases.pt`, meets the others in `FOLDER/meeting`, writes `FOLDER/RANK.pt`.
"""

import sys
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist

from annatto.core.types import Targets
from annatto.ops import gradcache
from annatto.ops.compose import matryoshka, weighted
from annatto.ops.objectives import TERMS, info_nce, set_likelihood
from annatto.ops.ranking import cosent, distill, margin_mse
from annatto.ops.ranks import gather

OBJECTIVE = weighted(
    (1.0, partial(info_nce, temperature=0.3, terms=TERMS, soft=True)),
    (0.5, matryoshka(partial(set_likelihood, temperature=0.2), (2, 4))),
    (0.7, partial(distill, temperature=0.2, teacher_temperature=0.5)),
    (0.1, partial(margin_mse, scale=2.0)),
    (1.2, partial(cosent, temperature=0.2)),
)
BACKWARD = {"plain": gradcache.plain, "cached": gradcache.cached}


def main(rank, folder):
    given = torch.load(folder / "cases.pt")
    targets = Targets(**given["targets"])
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=given["world"]
    )
    found = []
    for dtype, how, sizes in given["cases"]:
        net = torch.nn.Linear(5, 6).to(dtype)
        net.load_state_dict(given["weights"])
        mine = given["texts"].to(dtype).split(sizes)[rank]
        value = BACKWARD[how](
            lambda texts, net=net: torch.nn.functional.normalize(net(texts), dim=1),
            mine.split(2),
            lambda vectors: OBJECTIVE(vectors[:4], vectors[4:], targets),
            gather=partial(gather, sizes=sizes, rank=rank),
        )
        for parameter in net.parameters():
            dist.all_reduce(parameter.grad)
        found.append([value, net.weight.grad, net.bias.grad])
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
