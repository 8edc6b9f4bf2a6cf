import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from annatto.core.errors import IdentityError, InputError, UsageError
from annatto.core.store import open_collection, save
from annatto.core.tables import CORPUS
from annatto.core.types import Collection, Prompt
from annatto.index.folder import build, identity, open_index
from annatto.index.retriever import Dense
from annatto.testing import TinyEncoder, tiny_collection, tiny_encoder

WEIGHTS = {"weights": "tiny"}


@pytest.fixture
def folder(tmp_path):
    return build(tiny_collection(), tiny_encoder(), tmp_path / "index", weights=WEIGHTS)


def with_prompt(instruction):
    encoder = tiny_encoder()
    encoder.prompts = {"document": Prompt("{instruction}{text}", instruction)}
    return encoder


def test_an_index_finds_what_dense_finds(folder):
    collection = tiny_collection()
    retriever = Dense(tiny_encoder())
    retriever.index(collection)
    run = retriever.search(collection.queries, 4)
    hits = open_index(folder).search(tiny_encoder(), collection.queries["text"].to_pylist(), k=4)
    for name in ("doc_id", "rank", "score"):
        assert hits[name].to_pylist() == run[name].to_pylist()
    ids = collection.queries["query_id"].take(hits["query"])
    assert ids.to_pylist() == run["query_id"].to_pylist()


def test_hits_bring_title_text_and_nulls_for_what_the_corpus_lacks(folder):
    (hit,) = open_index(folder).search(tiny_encoder(), ["rare7 piano"], k=1).to_pylist()
    assert hit["doc_id"] == "d07"
    assert hit["title"] == "piano"
    assert hit["text"] == "rare7 piano word0"
    assert hit["source"] is hit["line"] is hit["parent_id"] is None
    assert list(hit) == [
        *("query", "rank", "score", "doc_id", "title"),
        *("text", "source", "line", "parent_id"),
    ]


def test_hits_are_right_over_several_row_groups_and_keep_all_columns(tmp_path):
    n = 2500
    rows = {
        "doc_id": [f"d{i}" for i in range(n)],
        "title": [f"t{i}" for i in range(n)],
        "text": [f"w{i} w{i}" for i in range(n)],
        "parent_id": [f"p{i}" for i in range(n)],
    }
    table = CORPUS.table(rows).append_column("line", pa.array(range(n), pa.int32()))
    table = table.append_column("colour", pa.array(["red"] * n))
    corpus = ds.dataset([ds.dataset(table.slice(0, 700)), ds.dataset(table.slice(700))])
    build(Collection(corpus=corpus), tiny_encoder(), tmp_path / "i", weights=WEIGHTS)
    wanted = [2400, 5, 1023, 1024, 699, 700, 5]
    hits = open_index(tmp_path / "i").search(tiny_encoder(), [f"w{i}" for i in wanted], k=1)
    assert hits["doc_id"].to_pylist() == [f"d{i}" for i in wanted]
    assert hits["title"].to_pylist() == [f"t{i}" for i in wanted]
    assert hits["parent_id"].to_pylist() == [f"p{i}" for i in wanted]
    assert hits["line"].to_pylist() == wanted
    assert pq.read_table(tmp_path / "i" / "documents.parquet")["colour"].null_count == 0


def test_k_beyond_the_corpus_and_no_texts_are_fine(folder):
    index = open_index(folder)
    assert index.search(tiny_encoder(), ["piano"], k=100).num_rows == 60
    none = index.search(tiny_encoder(), [])
    assert none.num_rows == 0
    assert none.schema == index.search(tiny_encoder(), ["piano"]).schema
    with pytest.raises(UsageError, match="found 0"):
        index.search(tiny_encoder(), ["piano"], k=0)


def test_the_card_tells_weights_identity_and_rows(folder):
    card = json.loads((folder / "card.json").read_text())
    assert card["kind"] == "index"
    assert card["rows"] == 60
    index = open_index(folder)
    assert index.weights == WEIGHTS
    assert index.identity == identity(tiny_encoder())
    assert index.identity["weights_id"] == "tiny-encoder-1"
    assert index.identity["dim"] == 64


def test_the_same_collection_gives_the_same_bytes_from_memory_and_from_disk(folder, tmp_path):
    save(tiny_collection(), tmp_path / "c")
    again = build(
        open_collection(tmp_path / "c"), tiny_encoder(), tmp_path / "again", weights=WEIGHTS
    )
    for name in ("card.json", "vectors.npy"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_an_encoder_of_other_weights_is_refused(folder):
    other = TinyEncoder()
    other.weights_id = "tiny-encoder-2"
    with pytest.raises(IdentityError) as error:
        open_index(folder).search(other, ["piano"])
    assert "weights_id differ" in str(error.value)
    assert "'tiny-encoder-1' in the index, 'tiny-encoder-2' in tiny" in str(error.value)
    assert "build the index again" in str(error.value)


def test_another_document_prompt_is_refused_and_another_query_prompt_is_not(folder, tmp_path):
    with pytest.raises(IdentityError, match="prompt differ"):
        open_index(folder).search(with_prompt("Find: "), ["piano"])
    encoder = with_prompt("Find: ")
    build(tiny_collection(), encoder, tmp_path / "i", weights=WEIGHTS)
    encoder.prompts = {**encoder.prompts, "query": Prompt("{instruction}{text}", "new")}
    assert open_index(tmp_path / "i").search(encoder, ["piano"], k=1).num_rows == 1


def test_dtype_is_recorded_but_not_compared(folder):
    encoder = tiny_encoder()
    encoder.dtype = "bfloat16"
    assert open_index(folder).search(encoder, ["piano"], k=1).num_rows == 1
    assert json.loads((folder / "card.json").read_text())["dtype"] == "float32"


def test_pooling_and_token_limit_belong_to_the_identity(folder):
    for name, value in (("pooling", "mean"), ("max_tokens", 16)):
        encoder = tiny_encoder()
        setattr(encoder, name, value)
        with pytest.raises(IdentityError, match=f"{name} differ"):
            open_index(folder).search(encoder, ["piano"])


def test_a_query_of_another_dimension_cannot_slip_through(folder):
    encoder = tiny_encoder()
    encoder.dim = 32
    with pytest.raises(IdentityError, match="dim differ"):
        open_index(folder).search(encoder, ["piano"])


def test_an_index_is_replaced_and_anything_else_is_not(folder, tmp_path):
    build(tiny_collection(), tiny_encoder(), folder, weights={"weights": "new"})
    assert open_index(folder).weights == {"weights": "new"}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious.txt").write_text("x")
    with pytest.raises(InputError, match="exists and is not an index"):
        build(tiny_collection(), tiny_encoder(), tmp_path / "other", weights=WEIGHTS)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="exists and is not an index"):
        build(tiny_collection(), tiny_encoder(), tmp_path / "file", weights=WEIGHTS)
    assert (tmp_path / "other" / "precious.txt").exists()


def test_a_failed_build_leaves_the_old_index(folder):
    class Broken(TinyEncoder):
        def encode(self, texts, *, prompt="document"):
            return super().encode(texts, prompt=prompt) * float("nan")

    with pytest.raises(InputError, match="hold NaN"):
        build(tiny_collection(), Broken(), folder, weights=WEIGHTS)
    assert open_index(folder).search(tiny_encoder(), ["piano"], k=1).num_rows == 1
    assert [path.name for path in folder.parent.iterdir()] == ["index"]


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


@pytest.mark.parametrize("name", ["documents.parquet", "vectors.npy"])
def test_a_missing_or_damaged_part_is_named(folder, name):
    (folder / name).write_bytes(b"damaged")
    with pytest.raises(InputError, match=f"{name} is damaged .*; build the index again"):
        open_index(folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing"):
        open_index(folder)


def test_documents_damaged_inside_are_named(folder):
    path = folder / "documents.parquet"
    whole = bytearray(path.read_bytes())
    whole[4 : len(whole) // 2] = b"\xff" * (len(whole) // 2 - 4)
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"documents\.parquet is damaged"):
        open_index(folder).search(tiny_encoder(), ["piano"])


def test_a_damaged_card_and_parts_of_different_length_are_named(folder):
    table = pq.read_table(folder / "documents.parquet")
    kept = table.filter(pc.not_equal(table["doc_id"], "d00"))
    pq.write_table(kept, folder / "documents.parquet")
    with pytest.raises(InputError, match="found 59 documents, 60 vectors and 60 rows"):
        open_index(folder)
    (folder / "card.json").write_text('{"kind": "index"}')
    with pytest.raises(InputError, match="no 'weights'"):
        open_index(folder)
    (folder / "card.json").write_text("[]")
    with pytest.raises(InputError, match="holds no JSON object"):
        open_index(folder)
    (folder / "card.json").write_text("{")
    with pytest.raises(InputError, match="is not readable JSON"):
        open_index(folder)


class Asking(TinyEncoder):
    """A tiny encoder whose queries are read after the word of their prompt."""

    def encode(self, texts, *, prompt="document"):
        asked = [f"rare7 rare7 {text}" if prompt == "query" else text for text in texts]
        return super().encode(asked, prompt=prompt)


def test_a_search_shows_its_texts_with_the_query_prompt(tmp_path):
    build(tiny_collection(), Asking(), tmp_path / "index", weights=WEIGHTS)
    index = open_index(tmp_path / "index")
    assert index.search(Asking(), ["rare3"], k=1)["doc_id"].to_pylist() == ["d07"]
    plain = index.search(Asking(), ["rare3"], k=1, prompt="document")
    assert plain["doc_id"].to_pylist() == ["d03"]


@pytest.mark.parametrize("damage", [{"weights": None}, {"identity": 3}])
def test_a_card_without_what_a_search_needs_is_one_sentence(folder, damage):
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **damage}))
    with pytest.raises(
        InputError, match=f"is damaged .no '{next(iter(damage))}'.; build the index"
    ):
        open_index(folder)


def test_a_killed_build_goes_on_to_the_same_bytes(folder, tmp_path):
    class Counting(TinyEncoder):
        left = 1

        def encode(self, texts, *, prompt="document"):
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            return super().encode(texts, prompt=prompt)

    table = tiny_collection().corpus.to_table()
    halves = [ds.dataset(table.slice(0, 30)), ds.dataset(table.slice(30))]
    collection = Collection(corpus=ds.dataset(halves))
    work, place = tmp_path / "work", tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        build(collection, Counting(), place, weights=WEIGHTS, work=work)
    assert not place.exists()
    build(collection, Counting(), place, weights=WEIGHTS, work=work)  # one of two windows is left
    assert sorted(path.name for path in place.iterdir()) == sorted(
        path.name for path in folder.iterdir()
    )
    assert (place / "vectors.npy").read_bytes() == (folder / "vectors.npy").read_bytes()
    assert (place / "card.json").read_bytes() == (folder / "card.json").read_bytes()


def test_work_of_other_documents_is_refused(tmp_path):
    build(tiny_collection(), tiny_encoder(), tmp_path / "i", weights=WEIGHTS, work=tmp_path / "w")
    other = Collection(corpus=ds.dataset(tiny_collection().corpus.to_table().slice(0, 59)))
    with pytest.raises(
        UsageError, match=r"vectors\.npy holds vectors of another model or of other"
    ):
        build(other, tiny_encoder(), tmp_path / "j", weights=WEIGHTS, work=tmp_path / "w")
