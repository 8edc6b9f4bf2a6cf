"""How close does relabelling come to what a server allows, and what does it keep in memory?

    python benchmarks/bench_relabel.py [--requests 50000] [--concurrency 16] [--quick]

A server in a process of its own answers every request 0.2 s after it came, so that `concurrency`
requests in flight can have at most concurrency ÷ 0.2 s answers a second. `ratio` is how much of
that `mine.relabel.relabel` reaches from its first question to its last, with replies kept on disk;
at least 0.9 is wanted. Memory is anonymous memory (RssAnon) above that of the same process before
its first question, with the collection in memory and freed memory given back: the peak until a
tenth of the requests were answered, and the peak of the whole run. `memory_ratio`, the second over
the first, is wanted to be at most 1.2.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import re
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
from measure import commit, machine
from memory import anonymous, settle

from annatto.core.tables import CORPUS, JUDGMENTS, QUERIES
from annatto.core.types import Collection
from annatto.mine.relabel import relabel
from annatto.models.llm import Endpoint, Service
from annatto.models.replies import Replies

LATENCY = 0.2
NEGATIVES = 10
ASKS = NEGATIVES + 2
"""Of each query: one for each document, one for their order."""
BODY = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request: the span of a document, or the order of a list, after the latency."""
    head = await reader.readuntil(b"\r\n\r\n")
    found = BODY.search(head)
    body = await reader.readexactly(int(found[1]) if found else 0)
    begin = time.monotonic()
    prompt = json.loads(body)["messages"][0]["content"]
    listed = re.findall(r"^\[(\d+)\]", prompt, re.MULTILINE)
    span = re.search(r"answer\d+", prompt)
    said: dict[str, Any] = {"span": span[0] if span else "NO_ANSWER"}
    if listed:
        said = {"order": [int(number) for number in listed]}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    told = {"choices": [{"message": {"content": json.dumps(said)}}], "usage": usage}
    text = json.dumps(told).encode()
    await asyncio.sleep(LATENCY - (time.monotonic() - begin))
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")
    writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(text), text))
    await writer.drain()
    writer.close()


def serve(told: Connection) -> None:
    """Serve on a free port, which is sent through `told`, until the process is ended."""

    async def forever() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


def collection_of(queries: int) -> Collection:
    """Queries with a positive and NEGATIVES mined negatives, half of which hold an answer."""
    words = "Of what was asked here a passage says a little and leaves out the rest. " * 6
    names = [(i, j) for i in range(queries) for j in range(NEGATIVES + 1)]
    texts = [f"{words}{f'answer{j}' if j % 2 == 0 else ''} {i}" for i, j in names]
    ids = [f"d{i}-{j}" for i, j in names]
    corpus = CORPUS.table({"doc_id": ids, "title": [""] * len(ids), "text": texts})
    return Collection(
        corpus=ds.dataset(corpus),
        queries=QUERIES.table(
            {
                "query_id": [f"q{i}" for i in range(queries)],
                "text": [f"what of {i}" for i in range(queries)],
                "task": [""] * queries,
                "split": ["train"] * queries,
            }
        ),
        judgments=JUDGMENTS.table(
            {
                "query_id": [f"q{i}" for i, _ in names],
                "doc_id": ids,
                "grade": [float(j == 0) for _, j in names],
                "origin": ["gold" if j == 0 else "mined:bench" for _, j in names],
            }
        ),
    )


class Watched(Endpoint):
    """Counts answers and notes the largest memory until `early` of them, and of all."""

    def __init__(self, service: Service, early: int, replies: Replies) -> None:
        super().__init__(service, replies=replies)
        self.early, self.answers = early, 0
        self.peaks = [0.0, 0.0]
        self.times = [0.0, 0.0]
        self._counting = threading.Lock()

    def _one(self, ask: Any, reply: Any) -> Any:
        with self._counting:
            self.times[0] = self.times[0] or time.perf_counter()
        said = super()._one(ask, reply)
        with self._counting:
            self.answers += 1
            self.times[1] = time.perf_counter()
            if self.answers % 50 == 0:
                now = anonymous()
                self.peaks[1] = max(self.peaks[1], now)
                if self.answers <= self.early:
                    self.peaks[0] = self.peaks[1]
        return said


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--requests", type=int, default=50_000)
    words.add_argument("--concurrency", type=int, default=16)
    words.add_argument("--quick", action="store_true")
    asked = words.parse_args()
    if asked.quick:
        asked.requests = 2000
    told, child = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=serve, args=(child,), daemon=True)
    server.start()
    service = Service(f"http://127.0.0.1:{told.recv()}/v1", "bench", concurrency=asked.concurrency)
    collection = collection_of(asked.requests // ASKS)
    with tempfile.TemporaryDirectory() as place:
        small = Watched(service, 0, Replies.open(Path(place) / "small.jsonl"))
        relabel(collection_of(4), small)
        small.close()
        settle()
        base = anonymous()
        llm = Watched(service, asked.requests // 10, Replies.open(Path(place) / "r.jsonl"))
        repaired = relabel(collection, llm)
        end = anonymous()
        llm.close()
    server.terminate()
    notes = repaired.card["notes"]["mine.relabel"]
    seconds = llm.times[1] - llm.times[0]
    rate = llm.answers / seconds
    early, whole = (max(peak - base, 0.0) for peak in llm.peaks)
    found = {
        "name": "bench_relabel",
        "ratio": round(rate / (asked.concurrency / LATENCY), 4),
        "requests_s": round(rate, 1),
        "limit_s": asked.concurrency / LATENCY,
        "requests": llm.answers,
        "memory_ratio": round(whole / early, 3) if early else None,
        "early_mib": round(early, 1),
        "whole_mib": round(whole, 1),
        "end_mib": round(end - base, 1),
        "base_mib": round(base, 1),
        "agree": notes["queries left as they were"] == 0 and llm.answers == notes["queries"] * ASKS,
        "machine": machine(),
        "commit": commit(),
    }
    for key, value in found.items():
        print(f"{key:13} {value}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
