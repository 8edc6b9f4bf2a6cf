"""A real server over two tiny indexes, and a real browser."""

import importlib.util
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

pytest.importorskip("fastapi", reason="needs the extra 'serve'")

from annatto.core.types import Collection
from annatto.index.folder import build
from annatto.models.embedder import Embedder
from annatto.testing import tiny_model

SPEC = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
browser_file = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(browser_file)

EVIL = "<script>document.title='broken'</script><img src='https://example.org/x'>"
ZEBRA = (
    "🦓🦓 Stripes hide well among tall stems. " + "Nobody knows why, or since when. " * 12
) + "A zebra eats grass all day. Then night falls."


def documents():
    """14 documents: 12 of two sections and twelve years, one that looks like a page, one zebra."""
    rows = [
        {
            "doc_id": f"d{i:02}",
            "title": f"Common {i}",
            "text": f"Every common text has a number of its own. This is number{i}.",
            "source": "guide.md",
            "line": i + 1,
            "section": "odd" if i % 2 else "even",
            "year": 2000 + i,
            "draft": i == 3,
        }
        for i in range(12)
    ]
    evil = {"doc_id": "evil", "title": EVIL, "text": f"Evil quokka. {EVIL}", "section": EVIL}
    zebra = {"doc_id": "zebra", "title": "Stripes", "text": ZEBRA, "section": "odd"}
    zebra |= {"source": "https://example.org/zebra"}
    return pa.Table.from_pylist([*rows, evil, zebra], schema=_schema())


def _schema():
    text = dict.fromkeys(("doc_id", "title", "text", "source", "section"), pa.large_string())
    return pa.schema({**text, "line": pa.int64(), "year": pa.int64(), "draft": pa.bool_()})


@pytest.fixture(scope="session")
def indexes(tmp_path_factory):
    """Folders of two indexes of the same documents by models of other weights."""
    place = tmp_path_factory.mktemp("served")
    found = []
    for seed, name in enumerate(("first", "second")):
        saved = Embedder.load(tiny_model(place / name, seed=seed)).save(place / f"{name}-saved")
        collection = Collection(corpus=ds.dataset(documents()))
        folder = place / f"{name}-index"
        build(collection, Embedder.load(saved), folder, weights={"weights": str(saved)})
        found.append(folder)
    return found


@pytest.fixture(scope="session")
def address(indexes, serving):
    with serving(*indexes) as found:
        yield found


@pytest.fixture(scope="session")
def locked(indexes, serving):
    """As `address`, with the key `open-sesame`."""
    with serving(indexes[0], key="open-sesame") as found:
        yield found


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if browser_file.found() is None:
        pytest.skip("no Chromium or Chrome on this machine")
    one = browser_file.Browser(tmp_path_factory.mktemp("profile"))
    yield one
    one.close()
