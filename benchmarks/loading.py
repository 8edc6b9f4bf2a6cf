"""The load on a server: a process of its own, with an HTTP client that costs next to nothing.

It reads a line of JSON for each window, and answers with one:

    {"url": "http://…", "model": "NAME:query", "texts": […], "clients": 32}   as fast as they come
    {"url": …, "texts": […], "rate": 10.0, "seed": 0}                         so many a second

Each text is a request. The answer has the seconds of the window, those of each request, how many
were not 200, and the processor seconds that this process took.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Reply(NamedTuple):
    """An answer: its status, and its body."""

    status: int
    body: bytes


class Client:
    """One connection, kept as long as the server keeps it."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._host, self._port = str(place.hostname), int(place.port or 80)
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def open(self) -> asyncio.StreamWriter:
        if self.writer is None or self.writer.is_closing() or self.reader.at_eof():
            self.reader, self.writer = await asyncio.open_connection(self._host, self._port)
        return self.writer

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.writer = None

    def head(self, method: str, path: str, length: int) -> bytes:
        return (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        ).encode()

    async def ask(self, method: str, path: str, value: Any = None) -> Reply:
        body = b"" if value is None else json.dumps(value).encode()
        writer = await self.open()
        writer.write(self.head(method, path, len(body)) + body)
        return await self.answer()

    async def answer(self) -> Reply:
        assert self.reader is not None
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        sizes = [int(line[15:]) for line in lines if line.startswith("content-length:")]
        body = await self.reader.readexactly(sizes[0] if sizes else 0)
        if "connection: close" in lines:
            self.close()
        return Reply(int(lines[0].split()[1]), body)


async def window(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Send every text once, and say how long each took."""
    queue: list[str] = list(reversed(asked["texts"]))
    took: list[float] = []
    wrong = 0

    async def one(client: Client, text: str) -> None:
        nonlocal wrong
        begin = time.perf_counter()
        body = {"model": asked["model"], "input": text, "encoding_format": "base64"}
        reply = await client.ask("POST", "/v1/embeddings", body)
        took.append(time.perf_counter() - begin)
        wrong += reply.status != 200

    async def worker() -> None:
        client = Client(asked["url"])
        while queue:
            await one(client, queue.pop())
        client.close()

    async def paced(texts: Sequence[str]) -> None:
        draw = random.Random(asked["seed"])
        async with asyncio.TaskGroup() as group:
            for text in texts:
                group.create_task(one(Client(asked["url"]), text))
                await asyncio.sleep(draw.expovariate(asked["rate"]))

    begin, used = time.perf_counter(), _processor()
    if "rate" in asked:
        await paced(asked["texts"])
    else:
        await asyncio.gather(*(worker() for _ in range(asked["clients"])))
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "took": took, "wrong": wrong, "processor": _processor() - used}


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(asyncio.run(window(json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
