"""ARHN on planted lists: decisions, edge cases, and what never happens."""

import dataclasses
import hashlib
import itertools
import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from annatto.core.errors import SchemaError, UsageError
from annatto.core.store import collection_hash
from annatto.core.types import Answer, Failure
from annatto.mine import extract
from annatto.mine.relabel import STAGE, relabel
from annatto.mine.rules import Settings
from annatto.mine.undo import undo
from annatto.testing import tiny_llm
from annatto.train.examples import examples

MINED = (0.0, "mined:relative(rho=0.95)")
NEW = (2.0, "llm:perfect")


def expected(rule, queries=6):
    """Labels after a perfect judge, worked by hand."""
    f = {"R": NEW, "F": MINED, "R+F": NEW}[rule]
    a = {"R": MINED, "F": None, "R+F": None}[rule]
    of_kind = {"p": (2.0, "gold"), "f": f, "a": a, "c": MINED, "d": MINED}
    pairs = itertools.product(range(queries), of_kind)
    return {(f"q{i}", f"{k}{i}"): of_kind[k] for i, k in pairs if of_kind[k]}


@pytest.mark.parametrize("rule", ["R", "F", "R+F"])
def test_planted_negatives_end_as_worked_by_hand(rule, planted, perfect, labels_of):
    repaired = relabel(planted(), perfect, settings=Settings(rule=rule))
    assert labels_of(repaired) == expected(rule)


def test_every_document_has_a_decision_with_its_span_and_rank(planted, perfect):
    rows = relabel(planted(), perfect).decisions.to_pylist()
    assert {row["stage"] for row in rows} == {"mine.relabel:perfect"}
    assert len(rows) == 6 * 5
    own = {row["doc_id"]: row for row in rows if row["query_id"] == "q3"}
    afters = {doc_id: row["after"] for doc_id, row in own.items()}
    assert afters == {
        "p3": "positive",
        "f3": "positive",
        "a3": "rejected",
        "c3": "negative",
        "d3": "negative",
    }
    told = json.loads(own["f3"]["evidence"])
    assert (told["snippet"], told["rank"], told["positive_rank"]) == ("answer9", 1, 2)
    assert told["was"] == {"grade": 0.0, "origin": MINED[1]}
    assert json.loads(own["c3"]["evidence"]) == {"snippet": None, "found": "no answer"}


def test_the_card_counts_what_happened(planted, perfect):
    notes = relabel(planted(), perfect).card["notes"][STAGE]
    counted = ("queries", "negatives judged", "relabelled", "rejected", "kept")
    assert [notes[name] for name in counted] == [6, 24, 6, 6, 12]
    assert notes["queries left as they were"] == 0
    assert (notes["tokens"], notes["tokens written"]) == (36 * 10, 36 * 2)


def test_training_sees_new_positives_and_keeps_rejected_ones_out(planted, perfect):
    found = examples(relabel(planted(), perfect))
    assert (found.positives >= 0).sum() == 12
    assert (found.negatives >= 0).sum() == 12 * 2
    assert len(found.related.close) == 12 + 6


def test_the_input_is_not_changed(planted, perfect):
    collection = planted()
    before = collection_hash(collection)
    relabel(collection, perfect)
    assert collection_hash(collection) == before


def test_the_order_of_candidates_changes_nothing(planted, labels_of):
    """A judge of whims: what it says depends on the prompt, and on nothing else."""

    def whim(prompt):
        number = int(hashlib.sha256(prompt.encode()).hexdigest(), 16)
        if prompt.startswith(extract.TASK):
            return "About topic" if number % 3 else "NO_ANSWER"
        count = prompt.count("\n[")
        return str(sorted(range(1, count + 1), key=lambda n: number % (n * 7)))

    collection = planted(queries=20)
    rows = collection.judgments
    back = collection.with_judgments(rows.take(pa.array(range(rows.num_rows))[::-1]), "test")
    decided = [labels_of(relabel(one, tiny_llm(whim))) for one in (collection, back)]
    assert decided[0] == decided[1]
    assert decided[0] != labels_of(collection)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rule", ["R", "F", "R+F"])
def test_a_positive_is_never_lost_whatever_the_judge_says(rule, seed, planted, labels_of):
    def chaos(prompt):
        number = int(hashlib.sha256(f"{seed}{prompt}".encode()).hexdigest(), 16)
        said = ["About topic", "NO_ANSWER", "nonsense", "The end of", "[2]>[1]>[4]>[3]>[5]"]
        said += ["[1] [2]", "", "<think>", '{"order": [3, 1, 2]}', '{"span": "The end"}', "{"]
        return said[number % len(said)]

    collection = planted()
    after = labels_of(relabel(collection, tiny_llm(chaos), settings=Settings(rule=rule)))
    for pair, label in labels_of(collection).items():
        if label[0] > 0:
            assert after[pair] == label
    negatives = {pair for pair, label in after.items() if label[0] <= 0}
    assert all(any(query == q for q, _ in negatives) for query in {q for q, _ in after})


def failing(truth, is_bad):
    """The perfect judge, but these prompts fail."""

    class Failing:
        name = "perfect"

        def ask(self, prompts, reply):
            for ask in prompts:
                if is_bad(ask.prompt):
                    yield Answer(ask.key, Failure("HTTP 500", "oh"), 0)
                else:
                    yield from tiny_llm(truth).ask([ask], reply)

    return Failing()


@pytest.mark.parametrize("part", ["topic 2. Surely", "Question: what of topic 2\n\n[1]"])
def test_a_query_with_a_failed_call_is_left_as_it_was_and_counted(
    part, planted, judge_truth, labels_of
):
    collection = planted()
    repaired = relabel(collection, failing(judge_truth, lambda prompt: part in prompt))
    after, before = labels_of(repaired), labels_of(collection)
    wanted = {**expected("R+F"), **{k: v for k, v in before.items() if k[0] == "q2"}}
    assert after == wanted
    notes = repaired.card["notes"][STAGE]
    assert notes["queries left as they were"] == notes["left: HTTP 500"] == 1
    reasons = {r["reason"] for r in repaired.decisions.to_pylist() if r["query_id"] == "q2"}
    assert reasons == {"left as it was: HTTP 500"}


def test_an_order_that_cannot_be_read_leaves_the_query(planted, judge_truth, labels_of):
    collection = planted()
    llm = tiny_llm(lambda p: judge_truth(p) if p.startswith(extract.TASK) else "I would not say")
    repaired = relabel(collection, llm)
    assert labels_of(repaired) == labels_of(collection)
    assert repaired.card["notes"][STAGE]["left: unreadable reply"] == 6


def test_a_positive_without_a_span_is_ranked_by_its_text(planted, judge_truth, labels_of):
    def blind(prompt):
        if "answer5" in prompt and prompt.startswith(extract.TASK):
            return "NO_ANSWER"
        return judge_truth(prompt)

    llm = tiny_llm(blind, name="perfect")
    assert labels_of(relabel(planted(), llm)) == expected("R+F")
    listed = [ask.prompt for ask in llm.asked if not ask.prompt.startswith(extract.TASK)]
    assert all("About topic" in prompt for prompt in listed)


def test_a_positive_that_is_not_named_leaves_the_query(planted, judge_truth, labels_of):
    def dropping(prompt):
        said = judge_truth(prompt)
        if prompt.startswith(extract.TASK):
            return said
        return " > ".join(said.split(" > ")[::2])  # f and a, not p

    collection = planted()
    repaired = relabel(collection, tiny_llm(dropping))
    assert labels_of(repaired) == labels_of(collection)
    assert repaired.card["notes"][STAGE]["left: positive not placed"] == 6


def test_the_best_of_several_positives_is_what_counts(planted, perfect, labels_of):
    kinds = {"p": "answer1", "r": "answer7", "f": "answer9", "a": "answer5", "c": ""}
    collection = planted(queries=1, kinds=kinds)
    rows = collection.judgments.to_pylist()
    rows = [{**r, "grade": 3.0, "origin": "gold"} if r["doc_id"] == "r0" else r for r in rows]
    collection = collection.with_judgments(pa.Table.from_pylist(rows), "test")
    after = labels_of(relabel(collection, perfect))
    assert after == {
        ("q0", "p0"): (2.0, "gold"),
        ("q0", "r0"): (3.0, "gold"),
        ("q0", "f0"): (3.0, "llm:perfect"),
        ("q0", "c0"): MINED,
    }


def test_lists_that_are_used_up_get_random_documents_nobody_judged(planted, perfect, labels_of):
    kinds = {"p": "answer5", "f": "answer9", "a": "answer2"}
    collection = planted(kinds=kinds)
    repaired = relabel(collection, perfect)
    new = {pair: label for pair, label in labels_of(repaired).items() if label[1] == "mined:random"}
    assert len(new) == 12
    assert not set(new) & set(labels_of(collection))
    assert all(label[0] == 0 for label in new.values())
    assert repaired.card["notes"][STAGE]["queries refilled"] == 6
    assert relabel(collection, perfect).judgments.equals(repaired.judgments)


def test_random_documents_are_no_near_twins_of_a_positive(planted, perfect, labels_of):
    long = " ".join(f"word{i}" for i in range(60))
    collection = planted(queries=1, kinds={"p": f"answer5 {long}", "f": "answer9"})
    corpus = collection.corpus.to_table()
    rows = corpus.to_pylist()
    rows = [{**r, "text": f"answer5 {long}"} if r["doc_id"] != "f0" else r for r in rows]
    near = ds.dataset(pa.Table.from_pylist(rows, schema=corpus.schema))
    collection = dataclasses.replace(collection, corpus=near)
    assert set(labels_of(relabel(collection, perfect))) == {("q0", "p0"), ("q0", "f0")}


def test_no_order_is_asked_for_where_no_negative_answers(planted, perfect):
    relabel(planted(kinds={"p": "answer5", "c": "", "d": ""}), perfect)
    assert len(perfect.asked) == 6 * 3
    assert all(ask.prompt.startswith(extract.TASK) for ask in perfect.asked)


def test_negatives_that_people_judged_are_not_touched(planted, perfect, labels_of):
    collection = planted()
    rows = collection.judgments.to_pylist()
    rows = [{**r, "origin": "human:ann"} if r["doc_id"].startswith("f") else r for r in rows]
    collection = collection.with_judgments(pa.Table.from_pylist(rows), "test")
    after = labels_of(relabel(collection, perfect))
    assert all(after[f"q{i}", f"f{i}"] == (0.0, "human:ann") for i in range(6))
    assert not any("answer9" in ask.prompt for ask in perfect.asked)


def test_other_splits_stay_as_they_are(planted, perfect, labels_of):
    collection = planted()
    splits = pa.array(["train"] * 3 + ["dev"] * 3, pa.large_string())
    queries = collection.queries.set_column(3, "split", splits)
    after = labels_of(relabel(dataclasses.replace(collection, queries=queries), perfect))
    assert after == {
        pair: label
        for pair, label in (labels_of(collection) | expected("R+F", 3)).items()
        if pair not in {(f"q{i}", f"a{i}") for i in range(3)}
    }


def test_further_columns_of_judgments_are_carried(planted, perfect):
    collection = planted()
    marks = pa.array([f"m{i}" for i in range(collection.judgments.num_rows)])
    marked = collection.with_judgments(collection.judgments.append_column("mark", marks), "test")
    after = relabel(marked, perfect).judgments
    of_pair = {(r["query_id"], r["doc_id"]): r["mark"] for r in marked.judgments.to_pylist()}
    assert all(of_pair[r["query_id"], r["doc_id"]] == r["mark"] for r in after.to_pylist())


def sorted_rows(table):
    return table.sort_by([("query_id", "ascending"), ("doc_id", "ascending")])


@pytest.mark.parametrize("kinds", [None, {"p": "answer5", "f": "answer9", "a": "answer2"}])
def test_undo_restores_every_label(kinds, planted, perfect):
    collection = planted(**({"kinds": kinds} if kinds else {}))
    restored = undo(relabel(collection, perfect), judge="perfect")
    assert sorted_rows(restored.judgments).equals(sorted_rows(collection.judgments))
    assert restored.decisions.equals(collection.decisions)


def test_two_judges_are_traced_apart_and_undone_from_the_last(planted, judge_truth, labels_of):
    collection = planted(kinds={"p": "answer5", "f": "answer9", "a": "answer2", "c": "answer4"})

    def timid(prompt):  # sees only answer9
        said = judge_truth(prompt)
        return said if not prompt.startswith(extract.TASK) or said == "answer9" else "NO_ANSWER"

    first = relabel(collection, tiny_llm(timid, name="timid"))
    second = relabel(first, tiny_llm(judge_truth, name="bold"))
    stages = pc.value_counts(second.decisions["stage"]).to_pylist()
    assert {row["values"]: row["counts"] for row in stages} == {
        "mine.relabel:timid": 24,
        "mine.relabel:bold": 24 + 12,
    }
    assert labels_of(undo(second, judge="bold")) == labels_of(first)
    alone = labels_of(undo(second, judge="timid"))
    assert alone["q0", "f0"] == MINED
    assert ("q0", "a0") not in alone


def test_a_label_that_was_changed_since_is_not_taken_back(planted, perfect):
    repaired = relabel(planted(), perfect)
    rows = repaired.judgments.to_pylist()
    rows = [{**r, "origin": "human:ann"} if r["doc_id"] == "f1" else r for r in rows]
    changed = repaired.with_judgments(pa.Table.from_pylist(rows), "test")
    with pytest.raises(UsageError, match=r"1 of 12 labels .*query 'q1', document 'f1'"):
        undo(changed, judge="perfect")
    with pytest.raises(UsageError, match="did you mean perfect"):
        undo(repaired, judge="perfekt")


def test_the_same_judge_is_not_asked_twice_about_the_same_queries(planted, perfect):
    repaired = relabel(planted(), perfect)
    with pytest.raises(UsageError, match=r"'perfect' has judged 6 of 6 queries before .*'q0'"):
        relabel(repaired, perfect)


def test_a_collection_without_mined_negatives_is_refused(planted, perfect):
    bare = planted(kinds={"p": "answer5"})
    with pytest.raises(SchemaError, match=r"found none among 6; mine them first"):
        relabel(bare, perfect)


def test_blocks_change_nothing(planted, perfect, judge_truth, monkeypatch):
    whole = relabel(planted(), perfect)
    monkeypatch.setattr("annatto.mine.relabel.BLOCK", 2)
    again = relabel(planted(), tiny_llm(judge_truth, name="perfect"))
    assert collection_hash(again) == collection_hash(whole)
