"""An index moves from a folder to Milvus and back, and loses nothing, also when it is stopped."""

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("pymilvus", reason="pip install 'annatto[milvus]'")
pytest.importorskip("milvus_lite", reason="milvus-lite, the server of the tests, is not installed")

from annatto.checks_documents import example_documents
from annatto.core.atomic import read_card, write_json
from annatto.core.errors import InputError, UsageError
from annatto.index import move as moves
from annatto.index.folder import build, delete, open_index, upsert
from annatto.index.lance import LanceStore
from annatto.index.milvus import MilvusStore
from annatto.index.move import move
from annatto.index.place import place_of
from annatto.search.find import find
from annatto.testing import tiny_collection, tiny_encoder, tiny_milvus

HERE = place_of("")


class Killed(BaseException):
    """As a kill would, it passes everything that catches errors."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with tiny_milvus(tmp_path_factory.mktemp("milvus")) as uri:
        yield uri


@pytest.fixture
def there(server, request):
    """A collection that is gone after the test."""
    place = place_of(f"{server}/{request.node.name.partition('[')[0]}")
    yield place
    MilvusStore.open(place["uri"], place["collection"], dim=64).drop() if _count(place) else None


@pytest.fixture
def index(tmp_path):
    build(tiny_collection(), tiny_encoder(), tmp_path / "index", weights={})
    documents, _ = example_documents()
    upsert(open_index(tmp_path / "index"), documents.drop_columns(["content"]), tiny_encoder())
    return tmp_path / "index"


def test_an_index_moves_to_milvus_and_back_and_nothing_is_lost(index, there):
    before, hits = rows(index), found(index)
    assert move(index, there) == 108
    assert read_card(index / "card.json")["store"] == there
    assert not (index / "documents.lance").exists()
    same(rows(index), before)
    assert found(index) == hits
    assert move(index, HERE) == 108
    assert sorted(path.name for path in index.iterdir()) == [
        ".lock",
        "card.json",
        "documents.lance",
    ]
    same(rows(index), before)
    assert found(index) == hits
    assert _count(there) is None


def test_an_index_in_milvus_is_kept_up_to_date_like_any_other(index, there):
    move(index, there)
    changes = build(tiny_collection(), tiny_encoder(), index, weights={})
    assert (changes.kept, changes.removed, changes.encoded) == (60, 48, 0)
    opened = open_index(index)
    assert delete(opened, ["d00", "nobody"]) == 1
    assert build(tiny_collection(), tiny_encoder(), index, weights={}).added == 1
    again = build(tiny_collection(), tiny_encoder(), index, weights={}, rebuild=True)
    assert (again.added, len(open_index(index).store)) == (60, 60)
    assert open_index(index).card["store"] == there


def test_an_index_may_be_built_in_milvus(tmp_path, there):
    address = f"{there['uri']}/{there['collection']}"
    made = build(tiny_collection(), tiny_encoder(), tmp_path / "a", weights={}, store=address)
    assert made.added == len(open_index(tmp_path / "a").store) == 60
    with pytest.raises(InputError, match="holds 60 documents of another index"):
        build(tiny_collection(), tiny_encoder(), tmp_path / "b", weights={}, store=address)


@pytest.mark.parametrize("steps", range(11))
def test_a_move_that_is_killed_goes_on_and_ends_the_same(index, there, steps, monkeypatch):
    monkeypatch.setattr(moves, "BATCH_ROWS", 40)
    before = rows(index)
    for to in (there, HERE):
        with monkeypatch.context() as patched:
            kill_after(steps, patched)
            try:
                move(index, to)
            except Killed:
                same(rows(index), before)  # it answers, from one place or the other
        assert move(index, to) == 108
        same(rows(index), before)
        assert set(read_card(index / "card.json")) & {"moving", "leaving"} == set()
        assert (index / "documents.lance").exists() == (to == HERE)
        assert (_count(there) is None) == (to == HERE)


def test_what_was_changed_between_two_attempts_is_moved_as_it_is_now(index, there, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(moves, "BATCH_ROWS", 40)
        kill_after(2, patched)
        with pytest.raises(Killed):
            move(index, there)
    assert _count(there) == 40
    opened = open_index(index)
    gone = pa.Table.from_batches(list(opened.store.read(["doc_id"])))["doc_id"][:30].to_pylist()
    delete(opened, gone)
    documents, _ = example_documents()
    changed = documents.drop_columns(["content"]).slice(40, 3)
    upsert(opened, changed.set_column(2, "text", pa.array(["new"] * 3)), tiny_encoder())
    now = rows(index)
    assert move(index, there) == now.num_rows
    same(rows(index), now)


def test_a_move_that_was_begun_may_be_taken_back(index, there, monkeypatch):
    before = rows(index)
    with monkeypatch.context() as patched:
        kill_after(2, patched)
        with pytest.raises(Killed):
            move(index, there)
    move(index, HERE)
    same(rows(index), before)
    assert _count(there) is None
    assert "moving" not in read_card(index / "card.json")


def test_a_collection_that_holds_another_index_is_left_alone(index, tmp_path, there):
    address = f"{there['uri']}/{there['collection']}"
    build(tiny_collection(), tiny_encoder(), tmp_path / "other", weights={}, store=address)
    with pytest.raises(InputError, match="holds 60 documents of another index; choose another"):
        move(index, there)
    assert len(open_index(tmp_path / "other").store) == 60
    assert len(open_index(index).store) == 108


def test_what_is_no_index_is_not_moved(tmp_path, there):
    with pytest.raises(InputError, match="is not an index"):
        move(tmp_path / "nothing", there)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    "address", ["http://host:19530", "http://a:b@host/docs", "docs", "ftp://x/y"]
)
def test_an_address_that_names_no_collection_is_refused(address):
    with pytest.raises(UsageError, match="needs an address"):
        place_of(address)


def kill_after(steps, patched):
    """Count writes to stores and cards, and stop before the one after `steps`."""
    done = iter(range(steps))

    def counted(act):
        def acting(*given, **named):
            if next(done, None) is None:
                raise Killed
            return act(*given, **named)

        return acting

    for kind in (LanceStore, MilvusStore):
        for name in ("upsert", "delete", "drop"):
            patched.setattr(kind, name, counted(getattr(kind, name)))
    patched.setattr(moves, "write_json", counted(write_json))


def rows(index):
    """Every column of every document, and the vectors, by doc_id."""
    store = open_index(index).store
    batches = list(store.read([*sorted(store.schema.names), "vector"]))
    return pa.Table.from_batches(batches).sort_by("doc_id")


def same(found, wanted):
    assert found.schema.names == wanted.schema.names
    for name in wanted.column_names[:-1]:
        assert found[name].equals(wanted[name]), name
    ours, theirs = (np.array(one["vector"].to_pylist(), np.float32) for one in (found, wanted))
    assert np.array_equal(ours, theirs)


def found(index):
    opened = open_index(index)
    texts = ["rare7 river", "what about rare30 and glacier", "Rare13 common"]
    hits = find(opened, texts, encoder=tiny_encoder(), k=1, mode="hybrid")
    return hits.select(["query", "doc_id", "title", "text"]).to_pylist()


def _count(place):
    try:
        return len(MilvusStore.open(place["uri"], place["collection"]))
    except InputError:
        return None
