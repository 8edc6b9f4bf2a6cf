"""Batches larger than memory: what a step of 1024 pairs costs beside one of 64.

    python benchmarks/bench_gradcache.py [COLLECTION] [--model minilm|smollm2] [--quick]

One step (tokens, forward, backward) with LoRA and the same `chunk_tokens` for both batches, of
which 64 pairs already fill more than one chunk; documents have up to 96 tokens. MiniLM (float32)
by default; SmolLM2 is cut to 12 layers, in bfloat16.

`ratio` is the peak of anonymous memory at 64 pairs over that at 1024, each in a process of its own
and above what that process held after a step of 4 pairs; 1 is best. On CUDA it is the allocator's.
`time_ratio` is the seconds per pair at 1024 pairs through the cache over those of a step at 64
pairs that keeps all activations of the same chunks; lower is better. `agree` is the relative
difference of both ways' gradients at 64 pairs.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import torch
from measure import Timings, alternate, matmul_probe, report
from memory import MIB, settle, watched
from pairs import pairs_of

from annatto.core.types import INSTRUCT, Prompt, Targets
from annatto.models.embedder import Embedder
from annatto.ops import gradcache
from annatto.ops.objectives import info_nce
from annatto.train import lora
from annatto.train.ranks import Ranks
from annatto.train.step import Step

MODELS = {"minilm": {}, "smollm2": {"layers": 12, "dtype": "bfloat16"}}
PROMPT = Prompt(INSTRUCT, "Given a question, find the passage that answers it")
DOCUMENT = 96
SHARE = 64
"""`chunk_tokens` per pair of the smaller batch; a pair has more tokens than that."""
WARM = 4


@dataclass(frozen=True)
class Work:
    """What is measured.

    Attributes:
        collection: where the pairs come from; Python's standard library when None.
        model: a key of MODELS.
        chunk_tokens: of both batches.
    """

    collection: Path | None
    model: str
    chunk_tokens: int

    def step(self) -> Step:
        """Of a newly loaded model with adapters."""
        loaded = Embedder.load(self.model, max_tokens=DOCUMENT, **MODELS[self.model])
        adapted = lora.attach(loaded.model, rank=16, alpha=32, seed=0)
        model = replace(loaded, model=adapted.train())
        is_mixed = model.dtype == "bfloat16"
        return Step(model, self.chunk_tokens, is_mixed, Ranks(0, 1, model.device))


def step_of(
    step: Step, pairs: tuple[list[str], list[str]], count: int, *, is_cached: bool = True
) -> Callable[[], float]:
    """A step with the first `count` pairs, from texts to gradients; gives the loss."""
    model = step.model
    backward = gradcache.cached if is_cached else gradcache.plain
    rows = torch.arange(count, device=model.device)
    mask = torch.ones(count, count, dtype=torch.bool, device=model.device)
    targets = Targets(positive=rows, mask=mask, group=rows.unsqueeze(1))
    objective = functools.partial(info_nce, temperature=0.05)
    queries, documents = (texts[:count] for texts in pairs)

    def run() -> float:
        model.model.zero_grad(set_to_none=True)
        tokens = model.tokenize(queries, prompt=PROMPT)
        ids = model.tokenize(documents).ids
        with mock.patch.object(gradcache, "cached", backward):
            return step(tokens, ids, targets, objective, seed=0)

    return run


def peak(work: Work, count: int) -> float:
    """MiB that a step of `count` pairs takes beyond what one of 4 pairs left behind."""
    step, pairs = work.step(), pairs_of(work.collection, count)
    step_of(step, pairs, WARM)()
    settle()
    run = step_of(step, pairs, count)
    if step.model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / MIB
    return watched(run)


def alone(work: Work, count: int) -> float:
    """`peak` in a process of its own, so that no other step's leavings count."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(peak, work, count).result()


def apart(work: Work, pairs: tuple[list[str], list[str]], count: int) -> float:
    """Relative difference of the gradients, cached against plain.

    The adapters' second halves are 0 at first, which would leave half of the gradients 0, too.
    """
    step = work.step()
    adapters = [(n, p) for n, p in step.model.model.named_parameters() if p.requires_grad]
    torch.manual_seed(0)
    for name, parameter in adapters:
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    found = []
    for is_cached in (True, False):
        step_of(step, pairs, count, is_cached=is_cached)()
        found.append(torch.cat([p.grad.flatten() for _, p in adapters]))
    return float((found[0] - found[1]).norm() / found[1].norm())


def times(work: Work, small: int, large: int, rounds: int) -> tuple[Timings, float]:
    """The cached step of `large` pairs and the plain one of `small` in turn, and how they agree."""
    pairs = pairs_of(work.collection, large)
    step = work.step()
    timings = alternate(
        step_of(step, pairs, large),
        step_of(step, pairs, small, is_cached=False),
        rounds=rounds,
        probe=matmul_probe(step.model.dtype),
    )
    return timings, apart(work, pairs, small)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("collection", nargs="?", type=Path)
    words.add_argument("--model", choices=sorted(MODELS), default="minilm")
    words.add_argument("--rounds", type=int, default=4)
    words.add_argument("--quick", action="store_true", help="32 and 256 pairs: a minute")
    asked = words.parse_args()
    small, large = (32, 256) if asked.quick else (64, 1024)
    rounds, repeats = (1, 1) if asked.quick else (asked.rounds, 3)
    work = Work(asked.collection, asked.model, SHARE * small)
    low = [alone(work, small) for _ in range(repeats)]
    high = alone(work, large)
    ratios = [one / high for one in low]
    timings, agree = times(work, small, large, rounds)
    report(
        "bench_gradcache",
        timings,
        agree,
        ratio=round(statistics.median(ratios), 3),
        ratio_min=round(min(ratios), 3),
        ratio_max=round(max(ratios), 3),
        time_ratio=round(small / large / timings.ratio, 3),
        time_ratio_spread=sorted(round(small / large / v, 3) for v in timings.spread),
        model=asked.model,
        chunk_tokens=work.chunk_tokens,
        pairs=[small, large],
        peak_mib=[round(statistics.median(low), 1), round(high, 1)],
    )


if __name__ == "__main__":
    main()
