"""Replies on disk: none is lost, none is taken for another."""

import json

import pytest

from annatto.core.errors import InputError
from annatto.models import replies as module
from annatto.models.replies import Replies, Said, question_key


def never():
    raise AssertionError("asked for a reply that is stored")


def stored(place, count):
    one = Replies.open(place)
    for i in range(count):
        one.of(question_key(str(i)), lambda i=i: Said(f"reply {i} – ü\n\ud800", i, 1))
    return one


@pytest.fixture
def place(tmp_path):
    return tmp_path / "replies" / "r.jsonl"


def test_what_was_stored_is_there_after_opening_again(place, monkeypatch):
    monkeypatch.setattr(module, "RECENT", 7)
    monkeypatch.setattr(module, "PIECE", 5)
    stored(place, 50).close()
    again = Replies.open(place)
    assert len(again) == 50
    for i in range(50):
        assert again.of(question_key(str(i)), never) == Said(f"reply {i} – ü\n\ud800", i, 1)
    assert again.get(question_key("50")) is None


def test_a_line_cut_short_at_any_byte_costs_that_reply_alone(place):
    stored(place, 3).close()
    whole = place.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for end in range(start, len(whole)):
        place.write_bytes(whole[:end])
        again = Replies.open(place)
        assert len(again) == 2
        again.of(question_key("2"), lambda: Said("new", 1, 1))
        again.close()
        last = Replies.open(place)
        assert last.of(question_key("2"), never).text == "new"
        assert last.of(question_key("1"), never).tokens == 1
        last.close()


def test_a_damaged_line_is_passed_over_and_told(place, caplog):
    stored(place, 3).close()
    lines = place.read_bytes().splitlines()
    lines[1] = b'{"key": "zz"}'
    place.write_bytes(b"\n".join(lines) + b"\n")
    again = Replies.open(place)
    assert len(again) == 2
    assert "1 lines cannot be read" in caplog.text
    assert again.of(question_key("2"), never).tokens == 2


def test_the_first_of_two_replies_to_one_question_holds(place):
    stored(place, 1).close()
    line = {"key": question_key("0"), "text": "later", "tokens": 1, "written": 1}
    with place.open("a") as file:
        file.write(json.dumps(line) + "\n")
    assert Replies.open(place).of(question_key("0"), never).text.startswith("reply 0")


def test_what_asking_raises_passes_and_the_question_stays_open(place):
    one = Replies.open(place)

    def fails():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        one.of(question_key("a"), fails)
    assert one.of(question_key("a"), lambda: Said("yes", 1, 1)).text == "yes"


def test_two_runs_cannot_use_one_file(place):
    first = Replies.open(place)
    with pytest.raises(InputError, match="is used by another run"):
        Replies.open(place)
    first.close()
    Replies.open(place)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        Replies.open(tmp_path / "file" / "r.jsonl")


def test_parts_of_a_question_do_not_run_into_each_other():
    assert question_key("ab", "c") != question_key("a", "bc")
