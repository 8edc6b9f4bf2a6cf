"""Judging in a real terminal: keys are sent, the screen is read, the process is killed."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from annatto.app import judging
from annatto.app.judging import HELP, sit
from annatto.app.terminal import CLEAR, _key, shown
from annatto.core.store import open_collection, save
from annatto.core.tables import JUDGMENTS
from annatto.evaluate import judging as evaluate_judging
from annatto.evaluate.judging import Grades, Pair, as_queries
from annatto.testing import tiny_collection, tiny_model

PATIENCE = 300
"""Seconds after which a terminal that says nothing means that the test has failed."""


class Terminal:
    """A process in a pseudo-terminal; `screen` is all that it has shown."""

    def __init__(self, words, folder):
        self.outer, inner = pty.openpty()
        self.screen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "annatto", *words],
            cwd=folder,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)

    def read(self):
        """What comes next; empty when the process has closed its side."""
        if not select.select([self.outer], [], [], PATIENCE)[0]:
            raise AssertionError(f"nothing came; the screen was {self.screen[-2000:]!r}")
        try:
            part = os.read(self.outer, 65536).decode(errors="replace")
        except OSError:
            part = ""
        self.screen += part
        return part

    def wait_for(self, pages):
        """Read until so many pages have been shown."""
        while self.screen.count(HELP) < pages:
            assert self.read(), self.screen[-2000:]

    def press(self, key):
        os.write(self.outer, key.encode())

    def end(self):
        """Read to the end; the exit code."""
        while self.read():
            pass
        os.close(self.outer)
        return self.process.wait()


@pytest.fixture
def place(tmp_path):
    save(tiny_collection(), tmp_path / "pairs")
    tiny_model(tmp_path / "one")
    tiny_model(tmp_path / "two", seed=1)
    (tmp_path / "queries.txt").write_text("what about rare1\nwhat about rare2\n", encoding="utf-8")
    return tmp_path


WORDS = ["judge", "pairs", "--systems", "before=one", "--systems", "after=two", "--depth", "3"]
WORDS += ["--queries", "queries.txt", "--name", "ann", "-o", "judged"]


def given(place):
    lines = (place / "judged.work" / "grades.jsonl").read_text().splitlines()
    return [(row["query_id"], row["doc_id"], row["grade"]) for row in map(json.loads, lines)]


def test_judging_that_is_killed_and_resumed_loses_no_grade(place):
    first = Terminal(WORDS, place)
    for count, key in enumerate("021", 1):
        first.wait_for(count)
        first.press(key)
    first.wait_for(4)
    assert [grade for *_, grade in given(place)] == [0, 2, 1]
    os.killpg(first.process.pid, signal.SIGKILL)
    assert first.end() == -signal.SIGKILL
    before = given(place)

    second = Terminal(WORDS, place)
    second.wait_for(1)
    pairs = int(re.search(r"4 of (\d+) ", second.screen)[1])
    for count in range(4, pairs + 1):
        second.wait_for(count - 3)
        second.press("2")
    assert second.end() == 0, second.screen
    after = given(place)
    assert after[:3] == before
    assert len(after) == len({row[:2] for row in after}) == pairs
    assert f"{pairs} of {pairs} judged, 2 queries finished" in second.screen
    assert "after - before" in second.screen

    made = open_collection(place / "judged")
    kept = made.judgments.to_pylist()[-pairs:]
    assert {(row["query_id"], row["doc_id"], row["grade"]) for row in kept} == set(after)
    assert {row["origin"] for row in kept} == {"human:ann"}
    pages = [part.partition(HELP)[0] for part in (first.screen + second.screen).split(CLEAR)[1:]]
    assert len(pages) == pairs + 1  # the one that was on the screen when it was killed comes again
    for secret in ("before", "after", "BM25", "rank", "score"):
        assert not any(secret in page for page in pages)


class Keys:
    """Keys that were pressed beforehand; then nobody is there."""

    def __init__(self, text):
        self.left = list(text)

    def __call__(self):
        return self.left.pop(0) if self.left else ""


@pytest.fixture
def sitting(tmp_path):
    queries = as_queries(["what about rare1"])
    pairs = [Pair(queries["query_id"][0].as_py(), f"d{i:02}") for i in range(3)]
    grades = Grades.open(tmp_path / "grades.jsonl", "human:ann")

    def run(keys):
        sit(tiny_collection(), queries, pairs, grades, Keys(keys))
        return [grades.said.get(pair) for pair in pairs]

    return run


def test_a_key_is_a_grade_and_any_other_key_is_none(sitting):
    assert sitting("2x 0é\n1") == [2, 0, 1]


def test_back_takes_the_last_grade_back(sitting):
    assert sitting("20b1") == [2, 1, None]
    assert sitting("b") == [2, 1, None]  # what an earlier sitting gave stays


def test_q_stops_and_the_next_sitting_begins_where_it_stopped(sitting):
    assert sitting("2q11") == [2, None, None]
    assert sitting("01") == [2, 0, 1]


def test_the_page_shows_query_text_and_place_in_the_pool(sitting, capsys):
    sitting("q")
    page = capsys.readouterr().out
    assert "1 of 3" in page
    assert "> what about rare1" in page
    assert "river rare0 river word0" in page
    assert HELP in page


def test_a_document_cannot_steer_the_terminal():
    text = "begin \x1b]0;owned\x07\x1b[2J\x08 end\nnext"
    assert shown(text, spare=0, whole=True) == "begin ]0;owned[2J end\nnext"


def test_a_long_document_is_cut_to_the_screen_unless_all_of_it_is_wanted(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "20")
    text = "\n".join(f"line {i}" for i in range(50))
    lines = shown(text, spare=8).splitlines()
    assert len(lines) == 13
    assert lines[-1] == "… 38 more lines: m shows them"
    assert shown(text, spare=8, whole=True) == text


@pytest.mark.parametrize("sent", ["\x1b[2~", "\x1b[1;5C", "\x1bOQ", "\x1b[20~", "\x1b2"])
def test_a_key_of_several_characters_is_no_grade(sent):
    outer, inner = os.pipe()
    os.write(inner, f"{sent}0".encode())
    assert [_key(outer), _key(outer)] == ["\x1b", "0"]
    os.close(inner)
    assert _key(outer) == ""
    os.close(outer)


@pytest.fixture
def judged(place, monkeypatch):
    """Judge with these keys; gives the pairs to judge, and how often was searched."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(judging, "need", lambda: None)
    searched = []
    pooled = evaluate_judging.pool
    monkeypatch.setattr(
        evaluate_judging, "pool", lambda *a, **k: searched.append(1) or pooled(*a, **k)
    )
    order = []

    def run(systems, way, keys=""):
        monkeypatch.setattr(judging, "keys", lambda: contextlib.nullcontext(Keys(keys)))
        monkeypatch.setattr(judging, "sit", lambda *a: order.append(a[2]) or sit(*a))
        texts = ["what about rare1", "what about rare2"]
        judging.judge_to(Path("pairs"), systems, texts, Path("judged"), way=way)
        return order[-1], len(searched)

    return run


def test_what_was_found_is_read_again_only_while_nothing_changed(judged, place):
    pairs, searched = judged({"a": "one"}, judging.Way(depth=2))
    assert searched == 1
    assert judged({"a": "one"}, judging.Way(depth=2)) == (pairs, 1)
    assert judged({"a": "two"}, judging.Way(depth=2))[1] == 2
    assert judged({"a": "two"}, judging.Way(depth=3))[1] == 3
    assert judged({"b": "two"}, judging.Way(depth=3))[1] == 4
    save(replace(tiny_collection(), judgments=JUDGMENTS.empty()), place / "pairs")
    assert judged({"b": "two"}, judging.Way(depth=3))[1] == 5


def test_another_seed_shows_the_same_documents_in_another_order(judged):
    first, _ = judged({"a": "one"}, judging.Way(seed=1))
    second, searched = judged({"a": "one"}, judging.Way(seed=2))
    assert searched == 1
    assert first != second
    assert sorted(first) == sorted(second)


def test_without_a_terminal_judging_is_refused(place):
    done = subprocess.run(
        [sys.executable, "-m", "annatto", *WORDS],
        cwd=place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
