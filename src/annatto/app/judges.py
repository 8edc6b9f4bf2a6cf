"""The LLM that a command or a recipe names: a server, or a model in this process."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from annatto.app.artefacts import digest_of, model_content
from annatto.app.fit import fit
from annatto.core.errors import UsageError, nearest

if TYPE_CHECKING:
    from annatto.models.llm import Endpoint
    from annatto.models.local_llm import LocalLLM

KEY = "ANNATTO_LLM_KEY"
"""Environment variable that holds a server's key; it is never written anywhere."""
LOCAL = {"name": str, "dtype": str, "max_new_tokens": int}
"""What may be said of a model in this process, beside `llm` and `replies`."""


def load_llm(settings: Mapping[str, Any]) -> Endpoint | LocalLLM:
    """The LLM of a `[models.NAME]` table with `llm`; replies are kept on disk.

    Args:
        settings: `llm` is a server's url or what `models.weights.resolve` takes; `replies` a file
            (by default one in the cache folder); of a server the fields of `models.llm.Service`,
            of a model in this process LOCAL.

    Raises:
        UsageError: an unknown setting, or one out of range.
        WeightsError: there is no such model here.
        InputError: another run uses the replies.
    """
    from annatto.models.replies import Replies

    check_llm(settings, "the LLM")
    given = {name: v for name, v in settings.items() if name not in ("llm", "replies")}
    replies = Path(settings.get("replies") or _default_replies(settings))
    if not is_server(settings):
        from annatto.models.local_llm import LocalLLM

        return LocalLLM.load(settings["llm"], replies=Replies.open(replies), **given)
    from annatto.models.llm import Endpoint, Service, require

    service = Service(url=settings["llm"], **given)
    require(service)
    return Endpoint(service, key=os.environ.get(KEY, ""), replies=Replies.open(replies))


def check_llm(settings: Mapping[str, Any], where: str) -> None:
    """Refuse settings that neither a server nor a model has, and values of a wrong type."""
    from annatto.models.llm import Service

    known: dict[str, Any] = dict(LOCAL)
    if is_server(settings):
        hints = get_type_hints(Service)
        known = {f.name: hints[f.name] for f in dataclasses.fields(Service) if f.name != "url"}
        if not settings.get("model"):
            raise UsageError(f"{where} needs the name of a model of {settings['llm']}; add model.")
    known["replies"] = str
    for name, value in settings.items():
        if name == "llm":
            continue
        if name not in known:
            raise UsageError(f"{where} has no setting '{name}'; {nearest(name, ['llm', *known])}.")
        fit(value, known[name], f"{where}: {name}")


def llm_content(name: str, settings: Mapping[str, Any]) -> str:
    """sha256 of what decides an LLM's replies: how it is asked, and its weights if they are here.

    Raises:
        WeightsError: the weights are not on this machine.
    """
    if not is_server(settings):
        given = {key: v for key, v in settings.items() if key not in ("llm", "replies")}
        return model_content(name, {**given, "weights": settings["llm"]})
    from annatto.models.llm import Service

    given = {key: v for key, v in settings.items() if key not in ("llm", "replies")}
    service = Service(url=settings["llm"], **given)
    return digest_of({"name": settings.get("name") or name, "identity": service.identity})


def is_server(settings: Mapping[str, Any]) -> bool:
    """Whether `llm` is a url."""
    return str(settings["llm"]).startswith(("http://", "https://"))


def _default_replies(settings: Mapping[str, Any]) -> Path:
    from annatto.models.weights import cache_folder

    place = f"{settings['llm']}\0{settings.get('model', '')}"
    name = re.sub(r"[^\w.-]+", "-", Path(settings.get("model") or settings["llm"]).name)
    digest = hashlib.sha256(place.encode()).hexdigest()[:8]
    return cache_folder() / "replies" / f"{name}-{digest}.jsonl"
