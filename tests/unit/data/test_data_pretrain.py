import logging
import re

import pytest

from annatto.core.errors import AnnattoError
from annatto.core.store import collection_hash
from annatto.data.files import read_files
from annatto.data.pretrain import pretrain


@pytest.fixture
def folder(tmp_path):
    for i in range(12):
        text = f"Opening line number{i} tells what file{i} is.\n"
        for j in range(3):
            text += f"\n## Part {j} of file{i}\n\n"
            text += f"This section{i}x{j} speaks at length about apples{i}. "
            text += f"That other sentence{i}y{j} adds pears and plums{j}. Short end.\n"
        (tmp_path / f"f{i:02}.md").write_text(text)
    return tmp_path


def pairs(collection):
    documents = {row["doc_id"]: row for row in collection.corpus.to_table().to_pylist()}
    queries = {row["query_id"]: row for row in collection.queries.to_pylist()}
    for row in collection.judgments.to_pylist():
        yield queries[row["query_id"]], documents[row["doc_id"]], row["origin"]


def test_no_document_holds_the_query_that_asks_for_it(folder):
    found = list(pairs(pretrain(read_files(folder), per_document=2)))
    assert {query["task"] for query, _, _ in found} == {"ict", "bfs", "title"}
    for query, document, origin in found:
        assert query["text"] not in " ".join(f"{document['title']} {document['text']}".split())
        assert origin == f"synthetic:{query['task']}"


def test_inverse_cloze_cuts_its_sentence_out_of_the_document(folder):
    source = read_files(folder)
    before = dict(
        zip(*source.corpus.to_table(["doc_id", "text"]).to_pydict().values(), strict=True)
    )
    for query, document, _ in pairs(pretrain(source, tasks=["ict"])):
        whole = before[document["doc_id"]]
        assert query["text"] in whole
        assert len(document["text"]) < len(whole)
        assert "Short end." in document["text"]


def test_body_first_asks_by_the_parents_first_document_for_another(folder):
    for query, document, _ in pairs(pretrain(read_files(folder), tasks=["bfs"])):
        assert query["text"].startswith("Opening line number")
        assert query["query_id"].startswith(f"bfs:{document['parent_id']}")
        assert not document["doc_id"].endswith("#1")


def test_a_title_asks_for_a_text_that_lost_it(folder):
    for query, document, _ in pairs(pretrain(read_files(folder), tasks=["title"])):
        assert query["text"].startswith("Part ")
        assert document["title"] == ""


def test_no_parent_is_in_two_splits(folder):
    collection = pretrain(read_files(folder), dev=0.2, test=0.2)
    home = {}
    for query, document, _ in pairs(collection):
        assert home.setdefault(document["parent_id"], query["split"]) == query["split"]
    assert set(home.values()) == {"train", "dev", "test"}


def test_keep_prob_1_leaves_every_document_whole(folder):
    source = read_files(folder)
    kept = pretrain(source, keep_prob=1.0)
    assert kept.corpus.to_table()["text"] == source.corpus.to_table()["text"]


def test_the_same_seed_gives_the_same_pairs(folder):
    source = read_files(folder)
    hashes = [collection_hash(pretrain(source, seed=seed)) for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_documents_with_nothing_to_offer_are_counted(folder):
    (folder / "z.txt").write_text("Too short.")
    notes = pretrain(read_files(folder)).card["notes"]["data.pretrain"]
    assert notes["documents_with_nothing_to_offer"] == 13  # z.txt and twelve one-line openings
    assert sum(notes[f"pairs_{task}"] for task in ("ict", "bfs", "title")) == 36


def test_too_few_files_for_a_split_are_all_for_training(folder, caplog):
    for path in sorted(folder.glob("*.md"))[2:]:
        path.unlink()
    with caplog.at_level(logging.INFO, "annatto"):
        made = pretrain(read_files(folder))
    said = "too few files for held-out pairs: all 6 pairs are for training, nothing is left to "
    assert set(made.queries["split"].to_pylist()) == {"train"}
    assert caplog.messages == [f"{said}measure on"]
    assert made.card["notes"]["data.pretrain"]["no_held_out_pairs"] == f"{said}measure on"


def test_a_folder_with_enough_files_has_no_such_note(folder):
    assert "no_held_out_pairs" not in pretrain(read_files(folder)).card["notes"]["data.pretrain"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "data.pretrain found no pair in 1 documents (tasks: ict, bfs, title; sentences of 5"),
        ({"tasks": ["ict", "wlp"]}, "data.pretrain has no task 'wlp'; Known: bfs, ict, title"),
        ({"keep_prob": 2.0}, "keep_prob in [0, 1]; found 3 tasks, 1 and 2.0."),
    ],
)
def test_what_gives_no_pairs_is_explained(tmp_path, options, message):
    (tmp_path / "a.txt").write_text("Too short.")
    with pytest.raises(AnnattoError, match=re.escape(message)):
        pretrain(read_files(tmp_path), **options)
