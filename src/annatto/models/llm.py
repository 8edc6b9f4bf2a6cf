"""Any OpenAI-compatible server as an LLM: vLLM, llama.cpp, Ollama, or a hosted one."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from annatto.core.errors import InputError, UsageError
from annatto.core.reply import read, schema
from annatto.core.types import Answer, Ask, Failure
from annatto.models.inflight import each
from annatto.models.pace import Pace, pause, wished
from annatto.models.post import Posted, post
from annatto.models.replies import Replies, Said, question_key

logger = logging.getLogger(__name__)

R = TypeVar("R")
AGAIN = (0, 408, 409, 425, 429, 500, 502, 503, 504, 529)
"""Statuses after which the same request may succeed; 0 is a connection that gave nothing whole."""
HOPELESS = (401, 403, 404)
"""Statuses that no other request would change."""
REFUSED = (400, 422)
"""Statuses by which servers refuse a request; without structured output it may be taken."""
SHOWN = 300
"""Characters of a server's words in messages."""


@dataclass(frozen=True)
class Service:
    """Which model of which server to ask, and how.

    Attributes:
        url: up to the version, such as `http://localhost:8000/v1`.
        model: as the server calls it.
        name: as judgments call it (`llm:NAME`); `model` when empty.
        concurrency: requests in flight at once.
        timeout: seconds for one try.
        retries: further tries after one that may succeed later.
        backoff: seconds before the second try; doubled each time, with jitter.
        patience: questions in a row that may fail before the run is ended.
        per_minute: requests begun in a minute, at most; 0 for no limit.
        max_new_tokens: written for one reply, at most.
        structured: ask for JSON of the reply's schema; where the server refuses that, plain text.
        extra: further fields of every request, such as those that turn thinking off.
        seed: of the jitter.
    """

    url: str
    model: str
    name: str = ""
    concurrency: int = 16
    timeout: float = 60.0
    retries: int = 5
    backoff: float = 1.0
    patience: int = 50
    per_minute: float = 0.0
    max_new_tokens: int = 256
    structured: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @property
    def identity(self) -> str:
        """Everything about the service that a reply depends on."""
        said = {k: v for k, v in asdict(self).items() if k in ("model", "max_new_tokens", "extra")}
        return json.dumps({**said, "structured": self.structured}, sort_keys=True)


class Endpoint:
    """An LLM behind a server; greedy (temperature 0).

    Attributes:
        service: what is asked.
        replies: where replies are kept; None asks every time.
    """

    def __init__(self, service: Service, *, key: str = "", replies: Replies | None = None) -> None:
        require(service)
        self.service = service
        self.replies = replies
        self._key = key
        self._pace = Pace(service.per_minute)
        self._is_structured = service.structured
        self._in_a_row = 0
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """As judgments call it."""
        return self.service.name or self.service.model

    def close(self) -> None:
        """Let the file of replies go."""
        if self.replies is not None:
            self.replies.close()

    def ask(self, prompts: Iterable[Ask], reply: type[R]) -> Iterator[Answer[R]]:
        """Answers in the order in which they come; a question that failed for good is a Failure.

        Stored replies are not asked for. What the server said is stored as it was; whether it can
        be read is found out each time.

        Raises:
            InputError: the server refuses everyone (key, address or model), or `patience` questions
                in a row failed; what was answered is kept.
        """
        return each(lambda ask: self._one(ask, reply), prompts, self.service.concurrency)

    def _one(self, ask: Ask, reply: type[R]) -> Answer[R]:
        try:
            said = self._said(ask, reply)
        except _Failed as failed:
            self._count_failure(failed.failure)
            return Answer(ask.key, failed.failure, 0)
        self._in_a_row = 0
        return Answer(ask.key, read(said.text, reply), said.tokens, said.written)

    def _said(self, ask: Ask, reply: type[Any]) -> Said:
        if self.replies is None:
            return self._try(ask, reply)
        wanted = "" if reply is str else json.dumps(schema(reply), sort_keys=True)
        key = question_key(self.service.identity, wanted, ask.prompt)
        return self.replies.of(key, lambda: self._try(ask, reply))

    def _try(self, ask: Ask, reply: type[Any]) -> Said:
        """Ask until there is a reply or no hope; pauses between tries."""
        attempt, wanted = 0, reply if self._is_structured else str
        while True:
            self._pace.turn()
            posted = self._post(ask, wanted)
            said = _said_of(posted)
            if said is not None:
                if wanted is str and reply is not str:
                    self._note_plain()
                return said
            self._stop_if_hopeless(posted)
            if posted.status in REFUSED and wanted is not str:
                wanted = str
                continue
            may_work = posted.status in AGAIN or posted.status == 200
            if not may_work or attempt >= self.service.retries:
                raise _Failed(_failure(posted))
            self._rest(posted, attempt, ask.key)
            attempt += 1

    def _post(self, ask: Ask, reply: type[Any]) -> Posted:
        service = self.service
        body: dict[str, Any] = {
            "model": service.model,
            "messages": [{"role": "user", "content": ask.prompt}],
            "temperature": 0,
            "max_tokens": service.max_new_tokens,
        }
        if reply is not str:
            named = {"name": reply.__name__, "schema": schema(reply), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        url = f"{service.url.rstrip('/')}/chat/completions"
        return post(url, {**body, **service.extra}, key=self._key, timeout=service.timeout)

    def _rest(self, posted: Posted, attempt: int, key: str) -> None:
        """Wait before another try; a server that says for how long holds back everyone."""
        asked_for = wished(posted.headers)
        if asked_for:
            self._pace.hold(asked_for)
        else:
            time.sleep(pause(attempt, base=self.service.backoff, seed=self.service.seed, key=key))

    def _note_plain(self) -> None:
        """Plain text was taken: ask for no structure from now on."""
        with self._lock:
            if self._is_structured:
                logger.warning("%s takes no structured output; plain text it is", self.service.url)
            self._is_structured = False

    def _stop_if_hopeless(self, posted: Posted) -> None:
        if posted.status in HOPELESS:
            raise InputError(
                f"{self.service.url} refuses to answer as '{self.service.model}' "
                f"({_failure(posted).kind}: {_failure(posted).raw}); check the address, the "
                "model's name and the key."
            )

    def _count_failure(self, failure: Failure) -> None:
        with self._lock:
            self._in_a_row += 1
            failed = self._in_a_row
        if failed >= self.service.patience:
            raise InputError(
                f"{self.service.url} failed on {failed} questions in a row (last: {failure.kind}: "
                f"{failure.raw}); see to the server and run the same command again: what was "
                "answered is kept."
            )


class _Failed(Exception):
    """A question that got no reply."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind)
        self.failure = failure


def require(service: Service) -> None:
    """Refuse a service that cannot be asked, before anything is opened."""
    parts = urlsplit(service.url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(
            f"an LLM's url begins with http:// or https://; found '{service.url}'; give it up to "
            "the version, such as http://localhost:8000/v1."
        )
    if not service.model:
        raise UsageError(f"{service.url} needs a model's name; {service.url}/models lists them.")
    for name in ("concurrency", "timeout", "max_new_tokens", "patience"):
        if getattr(service, name) <= 0:
            raise UsageError(
                f"an LLM's {name} must be above 0; found {getattr(service, name)}; raise it."
            )


def _said_of(posted: Posted) -> Said | None:
    """The reply in a server's answer; None when there is none, or not a whole one."""
    if posted.status != 200:
        return None
    try:
        said = json.loads(posted.body)
        text = said["choices"][0]["message"]["content"]
        usage = said.get("usage") or {}
        written = int(usage.get("completion_tokens") or 0)
        tokens = int(usage.get("prompt_tokens") or 0) + written
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    return Said(text, tokens, written) if isinstance(text, str) else None


def _failure(posted: Posted) -> Failure:
    if posted.status == 0:
        kind, _, raw = posted.body.partition(": ")
        return Failure(kind, raw)
    kind = "damaged answer" if posted.status == 200 else f"HTTP {posted.status}"
    return Failure(kind, " ".join(posted.body.split())[:SHOWN])
