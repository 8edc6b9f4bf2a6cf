import fcntl
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from annatto.core.errors import IdentityError, InputError, SchemaError, UsageError
from annatto.core.identity import identity
from annatto.core.store import open_collection, save
from annatto.core.tables import CORPUS
from annatto.core.types import Collection, Prompt
from annatto.index.folder import alone, build, delete, open_index, upsert
from annatto.index.renew import Changes
from annatto.search.find import find
from annatto.testing import TinyEncoder, tiny_collection, tiny_encoder

WEIGHTS = {"weights": "tiny"}


class Counting(TinyEncoder):
    """A tiny encoder that remembers what it read, and is killed when it has read enough."""

    def __init__(self, *, calls=99):
        super().__init__()
        self.read = []
        self.calls = calls

    def encode(self, texts, *, prompt="document"):
        if self.calls == 0 and texts:
            raise KeyboardInterrupt
        self.calls -= 1
        self.read += texts
        return super().encode(texts, prompt=prompt)


def collection_of(texts, **columns):
    """Documents a, b, c, … of these texts."""
    rows = {
        "doc_id": [chr(97 + i) for i in range(len(texts))],
        "title": [""] * len(texts),
        "text": texts,
        **columns,
    }
    return Collection(corpus=ds.dataset(CORPUS.table(rows)))


def contents(folder):
    found = pa.Table.from_batches(open_index(folder).store.read(["doc_id", "text", "vector"]))
    return found.sort_by("doc_id").to_pylist()


@pytest.fixture
def folder(tmp_path):
    build(tiny_collection(), tiny_encoder(), tmp_path / "index", weights=WEIGHTS)
    return tmp_path / "index"


def with_prompt(instruction):
    encoder = tiny_encoder()
    encoder.prompts = {"document": Prompt("{instruction}{text}", instruction)}
    return encoder


def test_an_index_holds_every_document_and_column_with_its_vector(tmp_path):
    collection = collection_of(["x y", "z"], parent_id=["p", None])
    table = collection.corpus.to_table().append_column("line", pa.array([3, 4], pa.int32()))
    build(Collection(corpus=ds.dataset(table)), tiny_encoder(), tmp_path / "i", weights=WEIGHTS)
    store = open_index(tmp_path / "i").store
    one, two = store.documents(["a", "b"]).to_pylist()
    assert (one["text"], one["parent_id"], one["line"], one["source"]) == ("x y", "p", 3, None)
    assert two["parent_id"] is None
    found = {row["doc_id"]: row["vector"] for row in contents(tmp_path / "i")}
    wanted = tiny_encoder().encode(["x y", "z"]).tolist()
    assert [found["a"], found["b"]] == wanted


def test_the_card_tells_weights_identity_and_where_the_documents_are(folder):
    card = json.loads((folder / "card.json").read_text())
    assert card["kind"] == "index"
    assert card["store"] == {"kind": "lance"}
    index = open_index(folder)
    assert index.weights == WEIGHTS
    assert index.identity == identity(tiny_encoder())
    assert index.identity["weights_id"] == "tiny-encoder-1"
    assert index.identity["dim"] == 64
    assert len(index.store) == 60


def test_the_same_collection_gives_the_same_content_from_memory_and_from_disk(folder, tmp_path):
    save(tiny_collection(), tmp_path / "c")
    build(open_collection(tmp_path / "c"), tiny_encoder(), tmp_path / "again", weights=WEIGHTS)
    assert open_index(tmp_path / "again").hash() == open_index(folder).hash()
    assert (tmp_path / "again" / "card.json").read_bytes() == (folder / "card.json").read_bytes()
    delete(open_index(folder), ["d00"])
    assert open_index(tmp_path / "again").hash() != open_index(folder).hash()


def test_only_what_changed_is_encoded_again(tmp_path):
    place = tmp_path / "i"
    first = build(collection_of(["x", "y", "z"]), tiny_encoder(), place, weights=WEIGHTS)
    assert first == Changes(added=3, encoded=3)
    encoder = Counting()
    done = build(collection_of(["x", "new", "z", "w"]), encoder, place, weights=WEIGHTS)
    assert done == Changes(added=1, changed=1, removed=0, kept=2, encoded=2)
    assert encoder.read == ["new", "w"]
    encoder = Counting()
    done = build(collection_of(["x"]), encoder, place, weights=WEIGHTS)
    assert (done, encoder.read) == (Changes(removed=3, kept=1), [])
    assert [row["text"] for row in contents(place)] == ["x"]


def test_documents_that_moved_on_keep_their_vectors(tmp_path):
    place = tmp_path / "i"
    build(collection_of(["x", "y", "z"]), tiny_encoder(), place, weights=WEIGHTS)
    encoder = Counting()
    done = build(collection_of(["new", "x", "y", "z"]), encoder, place, weights=WEIGHTS)
    assert encoder.read == ["new"]
    assert done == Changes(added=1, changed=3, encoded=1)
    wanted = tiny_encoder().encode(["new", "x", "y", "z"]).tolist()
    assert [row["vector"] for row in contents(place)] == wanted
    assert [row["text"] for row in contents(place)] == ["new", "x", "y", "z"]


def test_another_column_is_written_without_encoding(tmp_path):
    place = tmp_path / "i"
    build(collection_of(["x", "y"], source=["a", "a"]), tiny_encoder(), place, weights=WEIGHTS)
    encoder = Counting()
    renamed = collection_of(["x", "y"], source=["a", "b"])
    assert build(renamed, encoder, place, weights=WEIGHTS) == Changes(changed=1, kept=1)
    assert encoder.read == []
    assert open_index(place).store.documents(["b"])["source"].to_pylist() == ["b"]


def test_a_title_that_moves_into_the_text_is_written_too(tmp_path):
    place = tmp_path / "i"
    build(collection_of(["x y"]), tiny_encoder(), place, weights=WEIGHTS)
    moved = collection_of(["y"], title=["x"])
    assert build(moved, Counting(), place, weights=WEIGHTS) == Changes(changed=1)
    assert open_index(place).store.documents(["a"])["title"].to_pylist() == ["x"]


def test_a_doc_id_twice_is_refused_also_across_batches(tmp_path):
    table = collection_of(["x", "y"]).corpus.to_table()
    both = ds.dataset([ds.dataset(table), ds.dataset(table.slice(1))])
    with pytest.raises(SchemaError, match="the doc_id 'b' stands twice"):
        build(Collection(corpus=both), tiny_encoder(), tmp_path / "i", weights=WEIGHTS)


def test_a_column_with_a_name_that_hits_use_is_refused_before_encoding(tmp_path):
    table = collection_of(["x"]).corpus.to_table().append_column("score", pa.array([1]))
    encoder = Counting()
    with pytest.raises(InputError, match="cannot keep a column called 'score'"):
        build(Collection(corpus=ds.dataset(table)), encoder, tmp_path / "i", weights=WEIGHTS)
    assert encoder.read == []


def test_documents_can_be_added_replaced_and_removed_in_an_open_index(folder):
    index = open_index(folder)
    rows = CORPUS.table({"doc_id": ["d00", "new"], "title": ["", ""], "text": ["fresh", "x"]})
    assert upsert(index, rows, tiny_encoder()) == 2
    assert len(index.store) == len(open_index(folder).store) == 61
    vector = tiny_encoder().encode(["fresh"])[0]
    assert index.store.search(1, vector=vector)["doc_id"].to_pylist() == ["d00"]
    assert index.store.search(9, text="rare0")["doc_id"].to_pylist() == []
    assert delete(index, ["new", "nobody"]) == 1
    other = TinyEncoder()
    other.weights_id = "tiny-encoder-2"
    with pytest.raises(IdentityError):
        upsert(index, rows, other)


def test_what_was_added_by_hand_is_encoded_no_more_by_a_build(folder):
    table = tiny_collection().corpus.to_table()
    rows = CORPUS.table({"doc_id": ["new"], "title": [""], "text": ["fresh"]})
    upsert(open_index(folder), rows, tiny_encoder())
    more = Collection(corpus=ds.dataset(pa.concat_tables([table, rows], promote_options="default")))
    encoder = Counting()
    build(more, encoder, folder, weights=WEIGHTS)
    assert encoder.read == []


def test_one_process_writes_at_a_time(folder):
    code = (
        "import sys; from pathlib import Path; from annatto.index.folder import alone\n"
        "with alone(Path(sys.argv[1])): pass"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with alone(folder):
        done = subprocess.run(command, capture_output=True, text=True)
    assert f"another process is writing to {folder}; try again" in done.stderr
    assert subprocess.run(command).returncode == 0


def test_threads_that_write_wait_for_each_other(folder):
    index = open_index(folder)
    tables = [
        CORPUS.table({"doc_id": [f"new{i}"], "title": [""], "text": [f"fresh{i}"]})
        for i in range(8)
    ]
    with ThreadPoolExecutor(4) as threads:
        assert (
            list(threads.map(lambda rows: upsert(index, rows, tiny_encoder()), tables)) == [1] * 8
        )
    assert len(index.store) == 68


def test_an_encoder_of_other_weights_is_refused(folder):
    other = TinyEncoder()
    other.weights_id = "tiny-encoder-2"
    with pytest.raises(IdentityError) as error:
        open_index(folder).check_identity(other)
    assert "weights_id differ" in str(error.value)
    assert "'tiny-encoder-1' in the index, 'tiny-encoder-2' in tiny" in str(error.value)
    assert "build the index again" in str(error.value)


def test_another_document_prompt_is_refused_and_another_query_prompt_is_not(folder, tmp_path):
    with pytest.raises(IdentityError, match="prompt differ"):
        open_index(folder).check_identity(with_prompt("Find: "))
    encoder = with_prompt("Find: ")
    build(tiny_collection(), encoder, tmp_path / "i", weights=WEIGHTS)
    encoder.prompts = {**encoder.prompts, "query": Prompt("{instruction}{text}", "new")}
    open_index(tmp_path / "i").check_identity(encoder)


def test_dtype_is_recorded_but_not_compared(folder):
    encoder = tiny_encoder()
    encoder.dtype = "bfloat16"
    open_index(folder).check_identity(encoder)
    assert json.loads((folder / "card.json").read_text())["dtype"] == "float32"


def test_pooling_and_token_limit_belong_to_the_identity(folder):
    for name, value in (("pooling", "mean"), ("max_tokens", 16)):
        encoder = tiny_encoder()
        setattr(encoder, name, value)
        with pytest.raises(IdentityError, match=f"{name} differ"):
            open_index(folder).check_identity(encoder)


def test_a_query_of_another_dimension_cannot_slip_through(folder):
    encoder = tiny_encoder()
    encoder.dim = 32
    with pytest.raises(IdentityError, match="dim differ"):
        open_index(folder).check_identity(encoder)


def test_another_model_needs_rebuild_and_then_replaces_the_index(folder):
    other = Counting()
    other.weights_id = "tiny-encoder-2"
    with pytest.raises(IdentityError, match=r"build the index again with this one .*--rebuild"):
        build(tiny_collection(), other, folder, weights=WEIGHTS)
    assert other.read == []
    done = build(tiny_collection(), other, folder, weights={"weights": "new"}, rebuild=True)
    assert done == Changes(added=60, encoded=60)
    open_index(folder).check_identity(other)
    assert open_index(folder).weights == {"weights": "new"}
    assert [path.name for path in folder.parent.iterdir()] == ["index"]


def test_an_open_index_is_refused_once_another_models_has_taken_its_place(folder):
    stale = open_index(folder)
    other = Counting()
    other.weights_id = "tiny-encoder-2"
    build(tiny_collection(), other, folder, weights=WEIGHTS, rebuild=True)
    before = open_index(folder).hash()
    added = CORPUS.table({"doc_id": ["new"], "title": [""], "text": ["piano"]})
    for use in (
        lambda: find(stale, ["piano"], encoder=tiny_encoder()),
        lambda: upsert(stale, added, tiny_encoder()),
        lambda: delete(stale, ["d7"]),
    ):
        with pytest.raises(InputError, match="was built again with another model, moved or rem"):
            use()
    assert open_index(folder).hash() == before
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="open it again"):
        find(stale, ["piano"], encoder=tiny_encoder())


def test_nobody_writes_to_an_index_that_is_being_built_again(folder):
    refused = []

    class Meanwhile(TinyEncoder):
        def encode(self, texts, *, prompt="document"):
            with (folder / ".lock").open("w") as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            refused.append(True)
            return super().encode(texts, prompt=prompt)

    build(tiny_collection(), Meanwhile(), folder, weights=WEIGHTS, rebuild=True)
    assert refused


def test_a_model_that_moved_is_written_down(folder):
    build(tiny_collection(), Counting(calls=0), folder, weights={"weights": "new"})
    assert open_index(folder).weights == {"weights": "new"}


def test_what_is_no_index_is_not_replaced(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("other", "file"):
        with pytest.raises(InputError, match="exists and is not an older index"):
            build(tiny_collection(), tiny_encoder(), tmp_path / name, weights=WEIGHTS)
    (tmp_path / "i.work").mkdir()
    (tmp_path / "i.work" / "precious.txt").write_text("x")
    with pytest.raises(InputError, match=r"i\.work exists and is not an older index"):
        build(tiny_collection(), tiny_encoder(), tmp_path / "i", weights=WEIGHTS)
    assert (tmp_path / "other" / "precious.txt").exists()
    assert (tmp_path / "i.work" / "precious.txt").exists()


def test_a_failed_rebuild_leaves_the_old_index(folder):
    class Broken(TinyEncoder):
        def encode(self, texts, *, prompt="document"):
            return super().encode(texts, prompt=prompt) * float("nan")

    before = open_index(folder).hash()
    with pytest.raises(InputError, match="hold NaN"):
        build(tiny_collection(), Broken(), folder, weights=WEIGHTS, rebuild=True)
    assert open_index(folder).hash() == before


def test_no_documents_are_refused(tmp_path):
    empty = Collection(corpus=ds.dataset(CORPUS.empty()))
    with pytest.raises(InputError, match="needs at least one document"):
        build(empty, tiny_encoder(), tmp_path / "i", weights=WEIGHTS)


def test_what_is_no_index_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"is not an index \(it has no card\.json\)"):
        open_index(tmp_path)
    save(tiny_collection(), tmp_path / "c")
    with pytest.raises(InputError, match="must be an index; found a folder of kind 'collection'"):
        open_index(tmp_path / "c")


def test_missing_documents_are_named(folder):
    shutil.rmtree(folder / "documents.lance")
    with pytest.raises(InputError, match=r"documents\.lance is missing .*; build .* --rebuild"):
        open_index(folder)
    build(tiny_collection(), tiny_encoder(), folder, weights=WEIGHTS, rebuild=True)
    assert len(open_index(folder).store) == 60


@pytest.mark.parametrize("part", ["_versions", "data"])
def test_damaged_documents_are_named(folder, part):
    for path in (folder / "documents.lance" / part).iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"documents\.lance is damaged .*--rebuild\)\.$"):
        open_index(folder).store.search(3, vector=np.ones(64, np.float32))


def test_a_damaged_card_is_named(folder):
    (folder / "card.json").write_text('{"kind": "index"}')
    with pytest.raises(InputError, match="no 'weights'"):
        open_index(folder)
    (folder / "card.json").write_text("[]")
    with pytest.raises(InputError, match="holds no JSON object"):
        open_index(folder)
    (folder / "card.json").write_text("{")
    with pytest.raises(InputError, match="is not readable JSON"):
        open_index(folder)


@pytest.mark.parametrize("damage", [{"weights": None}, {"identity": 3}, {"store": "x"}])
def test_a_card_without_what_a_search_needs_is_one_sentence(folder, damage):
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **damage}))
    with pytest.raises(
        InputError, match=f"is damaged .no '{next(iter(damage))}'.; build the index"
    ):
        open_index(folder)


def test_a_killed_build_goes_on_and_ends_in_the_same_state(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("annatto.index.renew.BATCH_ROWS", 25)
    collection = tiny_collection()
    with pytest.raises(KeyboardInterrupt):
        build(collection, Counting(calls=2), tmp_path / "again", weights=WEIGHTS)
    assert not (tmp_path / "again").exists()
    encoder = Counting()
    done = build(collection, encoder, tmp_path / "again", weights=WEIGHTS)
    assert done == Changes(added=10, kept=50, encoded=10)
    assert len(encoder.read) == 10
    assert open_index(tmp_path / "again").hash() == open_index(folder).hash()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "index"]


def test_a_killed_update_goes_on_and_ends_in_the_same_state(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("annatto.index.renew.BATCH_ROWS", 25)
    table = tiny_collection().corpus.to_table().slice(5)
    text = pa.array([f"{text} anew" for text in table["text"].to_pylist()], pa.large_string())
    changed = Collection(corpus=ds.dataset(table.set_column(2, "text", text)))
    with pytest.raises(KeyboardInterrupt):
        build(changed, Counting(calls=1), folder, weights=WEIGHTS)
    done = build(changed, Counting(), folder, weights=WEIGHTS)
    assert done == Changes(changed=30, removed=5, kept=25, encoded=30)
    build(changed, tiny_encoder(), tmp_path / "whole", weights=WEIGHTS)
    assert open_index(folder).hash() == open_index(tmp_path / "whole").hash()


def test_what_another_model_left_unfinished_is_thrown_away(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("annatto.index.renew.BATCH_ROWS", 25)
    killed = Counting(calls=1)
    killed.weights_id = "tiny-encoder-2"
    with pytest.raises(KeyboardInterrupt):
        build(tiny_collection(), killed, tmp_path / "again", weights=WEIGHTS)
    done = build(tiny_collection(), tiny_encoder(), tmp_path / "again", weights=WEIGHTS)
    assert done.encoded == 60
    assert open_index(tmp_path / "again").hash() == open_index(folder).hash()


def test_the_documents_can_lie_elsewhere(folder, tmp_path):
    address = f"file://{tmp_path}/bucket"
    place = tmp_path / "far"
    build(tiny_collection(), tiny_encoder(), place, weights=WEIGHTS, store=address)
    assert not (place / "documents.lance").exists()
    assert open_index(place).hash() == open_index(folder).hash()
    again = build(tiny_collection(), Counting(), place, weights=WEIGHTS)
    assert again == Changes(kept=60)
    with pytest.raises(UsageError, match="keeps its documents elsewhere"):
        build(tiny_collection(), tiny_encoder(), folder, weights=WEIGHTS, store=address)
    with pytest.raises(InputError, match="holds 60 documents of another index"):
        build(tiny_collection(), tiny_encoder(), tmp_path / "b", weights=WEIGHTS, store=address)
    with pytest.raises(UsageError, match="begins with s3://"):
        build(tiny_collection(), tiny_encoder(), tmp_path / "c", weights=WEIGHTS, store="ftp://x")
    build(tiny_collection(), tiny_encoder(), place, weights=WEIGHTS, rebuild=True)
    assert not (place / "documents.lance").exists()
    assert len(open_index(place).store) == 60


def test_a_store_of_an_unknown_kind_is_refused(folder):
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, "store": {"kind": "tape"}}))
    with pytest.raises(InputError, match="a store of kind 'tape', which this version cannot open"):
        open_index(folder)
