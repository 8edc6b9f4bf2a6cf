"""Stage functions of a made-up file `annatto.data.fake`, for recipes without models."""

import importlib
import sys

import pytest

FAKE = """
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import annatto.testing
from annatto.core.tables import QUERIES
from annatto.core.types import Collection, Encoder

VERSION = 3
CALLS = []


@dataclass(frozen=True)
class Settings:
    steps: int = 5
    lr: float = 0.1


def begin(*, seed: int = 0, source: str | Path = "") -> Collection:
    CALLS.append("begin")
    return annatto.testing.tiny_collection()


def limit(collection: Collection, *, queries: int = 10) -> Collection:
    CALLS.append("limit")
    from dataclasses import replace
    return replace(collection, queries=collection.queries.slice(0, queries))


def resume(collection: Collection, *, settings: Settings, work: Path) -> Collection:
    CALLS.append("resume")
    (work / "seen").open("a").write("x")
    if len((work / "seen").read_text()) < settings.steps:
        raise KeyboardInterrupt
    return collection


def report(collections: Mapping[str, Collection], folder: Path) -> None:
    CALLS.append("report")
    lines = [f"{name} {value.queries.num_rows}" for name, value in collections.items()]
    (folder / "report.md").write_text("\\n".join(lines))
    (folder / "timing.json").write_text(str(len(CALLS)))


def encode(collection: Collection, encoders: Sequence[Encoder]) -> Collection:
    return collection


def strange(collection: Collection) -> int:
    return 1


def fill_the_disk(collection: Collection) -> Collection:
    raise OSError(28, "No space left on device")
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """The module `annatto.data.fake`; its CALLS say which of its functions ran."""
    import annatto.data

    folder = tmp_path / "stages"
    folder.mkdir()
    (folder / "fake.py").write_text(FAKE)
    monkeypatch.setattr(annatto.data, "__path__", [*annatto.data.__path__, str(folder)])
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "annatto.data.fake", raising=False)
    yield importlib.import_module("annatto.data.fake")
    sys.modules.pop("annatto.data.fake", None)
