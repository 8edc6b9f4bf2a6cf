"""Minutes of mixed load: no wrong vector, no leak, every request that was taken is answered.

    python benchmarks/soak_serve.py --minutes 30
    python benchmarks/soak_serve.py --quick

It starts `annatto serve` on a tiny index. At the same time, clients ask for vectors and compare
them with those of `Embedder.encode`, search, put documents in and out, leave before their answer,
send bodies that are too large or no JSON, and drip a byte now and then. 429 is an answer. Memory is
what the server holds that no file backs; its slope is that of a line through the last two thirds of
the run. In the end the server is told to stop while requests run, and each must be answered. Exit
code 1 when a vector is wrong, a request was not answered as it must be, or memory grows by more
than `--slope`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from loading import Client, Reply
from measure import commit, machine
from serving import Running, started, tiny_index

from annatto.models.embedder import Embedder

PROMPTS = ("document", "query")
NEAR = 1e-5
"""How far a served number may lie from ours: rounding of another batch, in float32."""
BODY = 2**20
LETTERS = "abcdefghijklmnopqrstuvwxyz    éß東\n"
PAUSE = 0.05


class Soak:
    """The clients, and what they saw."""

    def __init__(
        self, running: Running, encoder: Embedder, *, seed: int = 0, changes: int = 1
    ) -> None:
        self.running, self.encoder, self.changes = running, encoder, changes
        self.draw = random.Random(seed)
        self.seen: Counter[str] = Counter()
        self.problems: list[str] = []
        self.farthest = 0.0
        self.is_over = False
        lengths = [self.draw.choice((3, 20, 80, 400, 900)) for _ in range(400)]
        self.texts = ["".join(self.draw.choices(LETTERS, k=length)) for length in lengths]
        self.right = {role: encoder.encode(self.texts, prompt=role) for role in PROMPTS}

    def expect(self, what: str, reply: Reply, *statuses: int) -> bool:
        """Count an answer; whether it is 200."""
        self.seen[f"{what} {reply.status}"] += 1
        if reply.status not in statuses:
            self.problems.append(f"{what}: {reply.status} {reply.body[:200]!r}")
        return reply.status == 200

    def check(self, rows: list[int], role: str, reply: Reply) -> None:
        """Compare served vectors with ours."""
        for row, one in zip(rows, json.loads(reply.body)["data"], strict=True):
            value = one["embedding"]
            found = (
                np.frombuffer(base64.b64decode(value), "<f4")
                if isinstance(value, str)
                else np.array(value)
            )
            far = float(np.abs(found - self.right[role][row]).max())
            self.farthest = max(self.farthest, far)
            if not far <= NEAR:
                self.problems.append(f"a wrong vector: {self.texts[row]!r} as {role}, off by {far}")

    def request(self) -> tuple[list[int], str, dict[str, Any]]:
        """Rows of texts, their role, and the body that asks for them."""
        draw = self.draw
        rows = draw.choices(range(len(self.texts)), k=draw.choice((1, 1, 1, 2, 8, 64)))
        role = draw.choice(PROMPTS)
        body = {
            "model": f"{self.encoder.name}:{role}",
            "input": [self.texts[row] for row in rows],
            "encoding_format": draw.choice(("float", "base64")),
        }
        if role == "query" and draw.random() < 0.8:  # nothing that is kept: the model has work
            body["instruction"] = f"Find number {draw.random()}."
        return rows, role, body

    async def ask(self, client: Client) -> None:
        rows, role, body = self.request()
        reply = await client.ask("POST", "/v1/embeddings", body)
        is_ours = "instruction" not in body
        if self.expect("embed", reply, 200, 429) and is_ours:
            self.check(rows, role, reply)

    async def search(self, client: Client) -> None:
        number = self.draw.randrange(60)
        body = {"q": f"rare{number}", "mode": self.draw.choice(("hybrid", "dense", "text"))}
        reply = await client.ask("POST", "/search", body)
        self.expect("search", reply, 200, 429)
        if reply.status == 200 and body["mode"] == "text":
            ids = [hit["doc_id"] for hit in json.loads(reply.body)["hits"]]
            if ids[:1] != [f"d{number:02}"]:
                self.problems.append(f"search: rare{number} gives {ids}")

    async def change(self, client: Client) -> None:
        name = f"new{self.draw.randrange(100)}"
        body = {"documents": [{"doc_id": name, "text": f"once {name}", "number": 1}]}
        self.expect("put", await client.ask("POST", "/documents", body), 200, 429)
        self.expect("take", await client.ask("DELETE", f"/documents?doc_id={name}"), 200, 429)

    async def leave(self, client: Client) -> None:
        _, _, body = self.request()
        said = json.dumps(body).encode()
        writer = await client.open()
        whole = client.head("POST", "/v1/embeddings", len(said)) + said
        writer.write(whole[: self.draw.randint(1, len(whole))])
        await asyncio.sleep(self.draw.random() * PAUSE)
        client.close()
        self.seen["left"] += 1

    async def oversize(self, client: Client) -> None:
        writer = await client.open()
        writer.write(client.head("POST", "/v1/embeddings", BODY * 100))
        self.expect("too large", await client.answer(), 413)
        client.close()

    async def malformed(self, client: Client) -> None:
        body = self.draw.choice(
            (b"{", b"\xff\xfe", b'{"input": 1}', self.draw.randbytes(50), b"[]")
        )
        writer = await client.open()
        writer.write(client.head("POST", "/v1/embeddings", len(body)) + body)
        self.expect("malformed", await client.answer(), 400)

    async def drip(self, client: Client) -> None:
        """A byte now and then, until the server has had enough."""
        said = client.head("POST", "/v1/embeddings", 1000) + b" " * 1000
        writer = await client.open()
        begin = time.monotonic()
        for byte in said[self.draw.choice((0, len(said) - 1000)) :]:
            with contextlib.suppress(OSError):
                writer.write(bytes([byte]))
            if client.reader is None or client.reader.at_eof() or writer.is_closing():
                break
            await asyncio.sleep(PAUSE * 10)
            if time.monotonic() - begin > 120:
                self.problems.append("a client that drips was kept for two minutes")
                break
            if self.is_over:
                break
        client.close()
        self.seen["dripped"] += 1

    async def again(self, what: Callable[[Client], Awaitable[None]], pause: float) -> None:
        """Do one thing until the time is over, each time with a chance of a new connection."""
        client = Client(self.running.address)
        while not self.is_over:
            try:
                async with asyncio.timeout(300):
                    await what(client)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                if what not in (self.leave, self.drip):
                    self.problems.append(f"{what.__name__}: no answer ({error!r})")
                client.close()
            if self.draw.random() < 0.1:
                client.close()
            await asyncio.sleep(pause * self.draw.random())
        client.close()

    async def run(self, seconds: float) -> list[tuple[float, float]]:
        """All clients for so long; (seconds, MiB) of the server's memory."""
        kinds = [
            *[(self.ask, 0.0)] * 6,
            *[(self.leave, PAUSE)] * 2,
            *[(self.drip, PAUSE)] * 8,
            *[(self.change, 1.0)] * self.changes,
            *((self.search, PAUSE), (self.oversize, PAUSE), (self.malformed, PAUSE)),
        ]
        begin = time.monotonic()
        memory: list[tuple[float, float]] = []
        async with asyncio.TaskGroup() as group:
            for what, pause in kinds:
                group.create_task(self.again(what, pause))
            while (now := time.monotonic() - begin) < seconds:
                memory.append((now, anonymous(self.running.process.pid)))
                await asyncio.sleep(min(seconds / 60, 10))
            self.is_over = True
        return memory

    async def stop(self) -> None:
        """Tell the server to stop while requests run; each that it took must be answered."""
        clients = [Client(self.running.address) for _ in range(20)]
        asked = [self.request() for _ in clients]
        waiting = []
        for client, (_, _, body) in zip(clients, asked, strict=True):
            writer = await client.open()
            said = json.dumps(body).encode()
            writer.write(client.head("POST", "/v1/embeddings", len(said)) + said)
            await writer.drain()
            waiting.append(client.answer())
        first = await waiting.pop(0)  # the others have been read, too
        self.running.process.send_signal(signal.SIGTERM)
        for reply in [first, *await asyncio.gather(*waiting, return_exceptions=True)]:
            if isinstance(reply, BaseException):
                self.problems.append(f"at the end: no answer ({reply!r})")
            else:
                self.expect("at the end", reply, 200, 429)


def anonymous(process: int) -> float:
    """MiB of a process's memory that no file backs."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


def slope(memory: list[tuple[float, float]]) -> float:
    """MiB per minute in the last two thirds."""
    late = np.array(memory[len(memory) // 3 :])
    return float(np.polyfit(late[:, 0] / 60, late[:, 1], 1)[0])


async def soak(running: Running, encoder: Embedder, asked: Any) -> dict[str, Any]:
    clients = Soak(running, encoder, seed=asked.seed, changes=asked.changes)
    memory = await clients.run(asked.minutes * 60)
    await clients.stop()
    code = await asyncio.to_thread(running.process.wait, 300)
    if code:
        clients.problems.append(f"the server ended with code {code}")
    for problem in clients.problems[:20]:
        print(problem)
    return {
        "name": "soak_serve",
        "minutes": asked.minutes,
        "changes": asked.changes,
        "requests": sum(clients.seen.values()),
        "seen": dict(sorted(clients.seen.items())),
        "problems": len(clients.problems),
        "farthest": clients.farthest,
        "memory": [round(memory[i][1], 1) for i in (0, len(memory) // 3, -1)],
        "slope_mib_per_minute": round(slope(memory), 3),
        "machine": machine(),
        "commit": commit(),
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--minutes", type=float, default=30)
    words.add_argument("--slope", type=float, default=1.0, help="MiB a minute that are let pass")
    words.add_argument("--changes", type=int, default=1, help="clients that put documents in")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--quick", action="store_true", help="a minute; its slope says nothing")
    asked = words.parse_args()
    if asked.quick:
        asked.minutes, asked.slope = 0.75, float("inf")
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        options = ["--port", "0", "--max-body", str(BODY >> 20), "--max-tokens", "60000"]
        options += ["--cache", "1"]  # full at once, so that it does not look like a leak
        serve = ["-m", "annatto", "serve", str(tiny_index(place)), *options]
        with started(serve) as running:
            encoder = Embedder.load(place / "model")
            said = asyncio.run(soak(running, encoder, asked))
    print(json.dumps(said), flush=True)
    sys.exit(int(said["problems"] > 0 or said["slope_mib_per_minute"] > asked.slope))


if __name__ == "__main__":
    main()
