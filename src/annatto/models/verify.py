"""Whether a copy of a model gives its vectors: another folder, or a server, against its probes."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from annatto.core.atomic import read_card
from annatto.core.errors import InputError, UsageError, WeightsError, nearest
from annatto.core.types import Prompt
from annatto.models import layout
from annatto.models.embedder import Embedder
from annatto.models.prompts import find, from_json, render, suffix
from annatto.models.weights import resolve

LIMITS = {"float32": 1e-6, "bfloat16": 1e-3}
"""How large 1 - cosine may be, by the dtype that the copy computes in."""
SECONDS = 60
KEY = "ANNATTO_API_KEY"
"""The environment variable with the key that a server wants."""
WEB = ("http://", "https://")


@dataclass(frozen=True)
class Checked:
    """One probe text, read by the copy.

    Attributes:
        prompt: the role it was read in.
        text: what was read.
        distance: 1 - cosine to the vector saved with the model; 0 = the same direction.
        limit: how large `distance` may be.
    """

    prompt: str
    text: str
    distance: float
    limit: float

    @property
    def is_right(self) -> bool:
        """Whether the copy gives this vector; never for NaN."""
        return self.distance <= self.limit


def verify(
    model: str | Path, *, against: str | Path | None = None, dtype: str | None = None
) -> list[Checked]:
    """Compare a saved model's probe vectors with what a copy of it gives for the same texts.

    Args:
        model: a folder that `Embedder.save` wrote; see `models.weights.resolve`.
        against: the copy: a folder or name of weights, or the address of a server that speaks
            OpenAI's /v1/embeddings (see `ask`; its key is read from ANNATTO_API_KEY); `model`
            itself when None, which tells whether these versions on this machine still give its
            vectors.
        dtype: what the copy computes in, `float32` or `bfloat16`; as saved when None. A server is
            not told, but the limit depends on it.

    Returns:
        One row per probe, in the order they were saved.

    Raises:
        WeightsError: no such weights, weights that changed, or a folder without probes.
        InputError: the server cannot be reached or does not answer in that form.
        UsageError: an unknown dtype.
    """
    said = _said(resolve(model))
    dtype = dtype or str(said.get("dtype", "float32"))
    if dtype not in LIMITS:
        raise UsageError(f"no dtype is called '{dtype}'; {nearest(dtype, LIMITS)}.")
    probes = said["probes"]
    if against is not None and str(against).startswith(WEB):
        found = _ask(str(against), said)
    else:
        found = _encode(Embedder.load(against or model, dtype=dtype), probes)
    return _checked(probes, found, dtype, against or model)


def has_probes(model: str | Path) -> bool:
    """Whether a model's folder holds probe vectors; annatto writes them with every model."""
    path = resolve(model) / layout.OURS
    return bool(path.exists() and read_card(path).get("probes"))


def verify_loaded(encoder: Embedder, model: str | Path) -> list[Checked]:
    """`verify` of a model that is loaded already: `encoder`, from the folder `model`.

    The limit is that of the rougher dtype, of those it was saved in and computes in.

    Raises:
        WeightsError: no such weights, or a folder without probes.
    """
    said = _said(resolve(model))
    rougher = max(encoder.dtype, str(said.get("dtype", "float32")), key=lambda one: LIMITS[one])
    return _checked(said["probes"], _encode(encoder, said["probes"]), rougher, model)


def refuse(checked: Sequence[Checked], copy: str) -> None:
    """Raise unless every probe is right.

    Args:
        checked: see `verify`.
        copy: what was verified, for the message.

    Raises:
        WeightsError: it says how many texts have other vectors, and which.
    """
    wrong = [one for one in checked if not one.is_right]
    if wrong:
        texts = "; ".join(f"{one.prompt}: {one.text[:40]!r}" for one in wrong)
        raise WeightsError(
            f"{copy} gives other vectors for {len(wrong)} of {len(checked)} probe texts (1 - "
            f"cosine up to {max(one.distance for one in wrong):.1e}, allowed {wrong[0].limit:g}): "
            f"{texts}; compare weights, prompts, pooling, token limit and versions."
        )


def ask(address: str, texts: Sequence[str], *, name: str) -> np.ndarray:
    """Vectors from a server that speaks OpenAI's embeddings, (n, dim) float64.

    It is sent `{"input": [texts], "model": name, "encoding_format": "float"}` and must answer
    `{"data": [{"index": 0, "embedding": [numbers]}, …]}`, in any order.

    Args:
        address: `http://HOST:PORT`, to which `/v1/embeddings` is added unless it ends so.
        texts: as the model is to see them, prompt and all: the protocol knows no prompts.
        name: of the model.

    Raises:
        InputError: no server is there, it refuses, or it answers in another form.
    """
    place = _place(address, "embeddings")
    body = {"input": list(texts), "model": name, "encoding_format": "float"}
    headers = {"Content-Type": "application/json", **_authorization()}
    request = urllib.request.Request(place, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as reply:
            rows = json.loads(reply.read())["data"]
        by_index = {int(row["index"]): row["embedding"] for row in rows}
        return np.array([by_index[i] for i in range(len(texts))], np.float64)
    except urllib.error.HTTPError as error:
        raise InputError(f"{place} refuses ({error}); is '{name}' what it serves?") from error
    except OSError as error:
        raise InputError(f"{place} does not answer ({error}); start the server first.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{place} must answer each of {len(texts)} texts as OpenAI's embeddings do (data, each "
            f"with index and embedding); found something else ({error!r}); give another address."
        ) from error


def _ask(address: str, said: Mapping[str, Any]) -> np.ndarray:
    """Vectors of the probes, (n, dim) float64.

    A server that lists `NAME:query` as a model, as annatto's does, is asked for each role and puts
    its own prompts around the texts; another one is sent the prompts with them.
    """
    name, probes = said["name"], said["probes"]
    if f"{name}:query" not in _names(address):
        prompts = from_json(said["prompts"])
        return ask(address, [_shown(one, prompts) for one in probes], name=name)
    found: dict[int, np.ndarray] = {}
    for role in dict.fromkeys(one["prompt"] for one in probes):
        rows = [i for i, one in enumerate(probes) if one["prompt"] == role]
        texts = [probes[i]["text"] for i in rows]
        found |= zip(rows, ask(address, texts, name=f"{name}:{role}"), strict=True)
    return np.array([found[i] for i in range(len(probes))], np.float64)


def _names(address: str) -> set[str]:
    """The models that a server lists; none where it lists none."""
    request = urllib.request.Request(_place(address, "models"), headers=_authorization())
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as reply:
            return {str(row["id"]) for row in json.loads(reply.read())["data"]}
    except (OSError, KeyError, TypeError, ValueError):
        return set()  # what is wrong shows when it is asked for vectors


def _place(address: str, what: str) -> str:
    bare = address.rstrip("/").removesuffix("/v1/embeddings").removesuffix("/v1")
    return f"{bare}/v1/{what}"


def _authorization() -> dict[str, str]:
    key = os.environ.get(KEY)
    return {"Authorization": f"Bearer {key}"} if key else {}


def _said(folder: Path) -> dict[str, Any]:
    path = folder / layout.OURS
    said = read_card(path) if path.exists() else {}
    if not said.get("probes"):
        raise WeightsError(
            f"{folder} has no probe vectors in {layout.OURS}; save the model with annatto first."
        )
    return said


def _shown(probe: Mapping[str, Any], prompts: Mapping[str, Prompt]) -> str:
    prompt = find(probe["prompt"], prompts)
    return render(prompt) + str(probe["text"]) + suffix(prompt)


def _encode(copy: Embedder, probes: Sequence[Mapping[str, Any]]) -> np.ndarray:
    found = np.zeros((len(probes), copy.dim), np.float64)
    for role in {one["prompt"] for one in probes}:
        rows = [i for i, one in enumerate(probes) if one["prompt"] == role]
        found[rows] = copy.encode([probes[i]["text"] for i in rows], prompt=role)
    return found


def _checked(
    probes: Sequence[Mapping[str, Any]], found: np.ndarray, dtype: str, copy: str | Path
) -> list[Checked]:
    distances = _distances(np.array([one["vector"] for one in probes]), found, copy)
    return [
        Checked(one["prompt"], one["text"], float(distance), LIMITS[dtype])
        for one, distance in zip(probes, distances, strict=True)
    ]


def _distances(saved: np.ndarray, found: np.ndarray, copy: str | Path) -> np.ndarray:
    """1 - cosine of each row, (n,) float64; NaN where a vector is zero or not finite."""
    if saved.shape != found.shape:
        raise WeightsError(
            f"{copy} must give {len(saved)} vectors of {saved.shape[1]} dimensions; found an "
            f"array of shape {found.shape}: it is another model."
        )
    lengths = np.linalg.norm(saved, axis=1) * np.linalg.norm(found, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines: np.ndarray = (saved * found).sum(1) / lengths
    return 1 - cosines
