"""Search in a file of vectors by several processes, here or on a cluster, each in a part of it.

Every process runs the search of `ops.topk` on its rows, and the k best of all are merged by the
same total order. A score does not depend on the rows it is computed with, so that one process,
many, and a cluster give the same bytes, as long as each has the same number of threads.
"""

from __future__ import annotations

import itertools
import multiprocessing
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from annatto.core.errors import AnnattoError, InputError, MissingExtra, UsageError
from annatto.core.types import Neighbours
from annatto.ops.topk import BLOCK_ROWS, merged, search_blocks


@dataclass(frozen=True)
class Sharing:
    """Who searches.

    Attributes:
        processes: parts that the documents are cut into, each searched by a process of its own; 1
            searches in this process.
        ray: Ray Data finds places for them, on the cluster of RAY_ADDRESS, or on this machine if
            there is none; else they are started here. With `processes` 1, too.
    """

    processes: int = 1
    ray: bool = False

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise UsageError(f"a search needs at least 1 process; found {self.processes}.")

    @property
    def is_alone(self) -> bool:
        """Whether this process does all the work."""
        return self.processes == 1 and not self.ray


@dataclass(frozen=True)
class Shard:
    """Rows of a file of vectors.

    Attributes:
        number: of the shard; a GPU is chosen by it.
        place: a .npy file, (n, d) float32.
        first: its first row.
        last: its last row plus one.
        ties: (last - first,) int64 tie orders of the rows.
    """

    number: int
    place: Path
    first: int
    last: int
    ties: np.ndarray


def search_shards(
    place: Path,
    queries: np.ndarray,
    k: int,
    *,
    sharing: Sharing,
    tie_order: np.ndarray | None = None,
) -> Neighbours:
    """What `ops.topk.search_blocks` gives for the vectors in a file, found by several processes.

    Args:
        place: a .npy file, (n, d) float32, finite; every process must be able to read it under
            this name.
        queries: (q, d) float32, finite.
        k: at least 1.
        sharing: how many processes, and where.
        tie_order: (n,) int, a permutation of 0..n-1; the row number when None.

    Returns:
        scores (q, k) float32, best first, −inf pads; rows (q, k) int64, −1 pads.

    Raises:
        UsageError: k is below 1.
        InputError: a process cannot read the file.
        MissingExtra: Ray is asked for and not installed.
        AnnattoError: a process ended before its work was done.
    """
    place = Path(place).absolute()
    shards = _cut(place, sharing.processes, tie_order)
    if sharing.is_alone:
        found = [search_shard(queries, k, shard) for shard in shards]
    else:
        spread = _on_ray if sharing.ray else _in_processes
        found = spread(queries, k, shards)
    return merged(found, k, tie_order=tie_order)


def search_shard(queries: np.ndarray, k: int, shard: Shard) -> Neighbours:
    """The k best documents of one shard for each query; rows are those of the whole file.

    Raises:
        InputError: the file is not there, on the machine that this runs on.
    """
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(shard.number % torch.cuda.device_count())
    try:
        vectors = np.load(shard.place, mmap_mode="r")[shard.first : shard.last]
    except OSError as error:
        raise InputError(
            f"a search over several processes reads {shard.place} in each of them; "
            f"{platform.node()} cannot ({error}); give a work folder that all machines share."
        ) from error
    order = np.argsort(np.argsort(shard.ties))  # their places among each other
    found = search_blocks(queries, [vectors], k, tie_order=order)
    rows = np.where(found.rows < 0, -1, found.rows + shard.first)
    return Neighbours(found.scores, rows)


def _cut(place: Path, count: int, tie_order: np.ndarray | None) -> list[Shard]:
    """Shards of whole blocks, as equal as can be; fewer when there are fewer blocks."""
    rows = len(np.load(place, mmap_mode="r"))
    ties = np.arange(rows) if tie_order is None else np.asarray(tie_order)
    blocks = -(-rows // BLOCK_ROWS)
    borders = np.linspace(0, blocks, min(count, max(blocks, 1)) + 1).astype(int) * BLOCK_ROWS
    ends = np.minimum(borders, rows).tolist()
    return [
        Shard(number, place, first, last, ties[first:last])
        for number, (first, last) in enumerate(itertools.pairwise(ends))
    ]


def _in_processes(queries: np.ndarray, k: int, shards: Sequence[Shard]) -> list[Neighbours]:
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(len(shards), mp_context=context) as processes:
            return list(processes.map(partial(search_shard, queries, k), shards))
    except BrokenProcessPool as error:
        raise AnnattoError(
            f"one of {len(shards)} processes that search ended before its work was done; if it "
            "says no more above, it was short of memory: use fewer processes."
        ) from error


def _on_ray(queries: np.ndarray, k: int, shards: Sequence[Shard]) -> list[Neighbours]:
    """A task of Ray Data for each shard, with as many threads as this process has."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("searching through Ray", "ray") from error
    import torch

    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level="warning")
    threads = str(torch.get_num_threads())
    asked = ray.put((queries, k, list(shards)))
    numbers = ray.data.range(len(shards), override_num_blocks=len(shards))
    environment = {"env_vars": {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}}
    done = numbers.map(_task(ray.get, asked), runtime_env=environment).take_all()
    found = {int(row["id"]): Neighbours(row["scores"], row["rows"]) for row in done}
    return [found[shard.number] for shard in shards]


def _task(get: Callable[[Any], Any], asked: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What Ray runs for the shard whose number is in a row."""

    def search(row: dict[str, Any]) -> dict[str, Any]:
        queries, k, shards = get(asked)
        found = search_shard(queries, k, shards[int(row["id"])])
        return {"id": row["id"], "scores": found.scores, "rows": found.rows}

    return search
