"""ARHN over HTTP: a bad server, and a run that is killed between replies."""

import dataclasses
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from annatto.core.store import collection_hash, save
from annatto.mine import extract
from annatto.mine.relabel import STAGE, relabel
from annatto.models.llm import Endpoint, Service
from annatto.models.replies import Replies

WORKER = Path(__file__).with_name("relabel_worker.py")
QUICK = {"backoff": 0.001, "timeout": 20.0, "retries": 1, "concurrency": 4}


@pytest.fixture
def endpoint(server, judge_truth, do):
    """An Endpoint of the scripted server, which judges perfectly unless told otherwise."""
    server.script = lambda prompt, _: do(judge_truth(prompt))

    def make(place=None, **settings):
        service = Service(server.url, "perfect", **{**QUICK, **settings})
        return Endpoint(service, replies=place and Replies.open(place))

    return make


BAD = {
    "429": {"status": 429},
    "500": {"status": 500, "text": "oh"},
    "broken JSON": {"how": "raw", "text": '{"choices": [{"message"'},
    "half a body": {"how": "half", "text": "a text that is long enough to lose its half"},
    "closed": {"how": "close"},
    "no span": {"text": '{"span": 7}'},
    "never": {"how": "never"},
    "slowly": {"how": "drip", "text": "x" * 99},
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("structured", [True, False])
def test_no_label_changes_where_the_server_fails_and_the_rest_is_judged(
    bad, structured, server, endpoint, planted, judge_truth, do, labels_of
):
    """Query 2's false negative, and the order of query 4, are never answered well."""

    def script(prompt, _):
        is_bad = "Surely answer9! The end of f2" in prompt
        is_bad |= "Question: what of topic 4\n\n[1]" in prompt
        return do(**BAD[bad]) if is_bad else do(judge_truth(prompt))

    collection = planted()
    server.script, server.structured = script, structured
    endless = bad in ("never", "slowly")
    settings = {"timeout": 1.0, "retries": 0} if endless else {}
    repaired = relabel(collection, endpoint(**settings))
    before, after = labels_of(collection), labels_of(repaired)
    changed = {pair[0] for pair in before if after.get(pair) != before[pair]}
    notes = repaired.card["notes"][STAGE]
    left = {"q4"} if bad == "no span" else {"q2", "q4"}  # what is no span is NO_ANSWER
    assert changed == {f"q{i}" for i in range(6)} - left
    assert after["q2", "f2"] == before["q2", "f2"]
    assert notes["queries left as they were"] == len(left)
    assert notes["relabelled"] == sum(v[1] == "llm:perfect" for v in after.values())
    assert notes["rejected"] == len(before) - len(after)
    assert set(before) - set(after) == {(f"q{i}", f"a{i}") for i in range(6) if f"q{i}" in changed}


def test_what_passes_on_a_second_try_changes_nothing(server, endpoint, planted, judge_truth, do):
    whole = relabel(planted(), endpoint())
    bads = [*BAD.values()][:5]

    def script(prompt, nth):
        return do(**bads[len(prompt) % 5]) if nth == 0 else do(judge_truth(prompt))

    server.times.clear()
    server.script = script
    again = relabel(planted(), endpoint(retries=1))
    assert collection_hash(again) == collection_hash(whole)
    assert again.card == whole.card


def test_a_second_run_asks_nothing_and_gives_the_same(server, endpoint, planted, tmp_path):
    llm = endpoint(tmp_path / "r.jsonl")
    first = relabel(planted(), llm)
    llm.close()
    asked = len(server.requests)
    assert asked == 36
    second = relabel(planted(), endpoint(tmp_path / "r.jsonl"))
    assert len(server.requests) == asked
    assert collection_hash(second) == collection_hash(first)
    assert second.card == first.card


@pytest.mark.parametrize("point", [0, 1, 3, 7, 12, 20, 29, 30, 33, 35])
def test_a_run_killed_between_replies_resumes_to_the_same_table(
    point, server, endpoint, planted, tmp_path
):
    whole = relabel(planted(), endpoint())
    server.requests.clear()

    @dataclasses.dataclass
    class Killed:
        """Stops the run when so many answers have come."""

        inner: Endpoint
        left: int
        name: str = "perfect"

        def ask(self, prompts, reply):
            for answer in self.inner.ask(prompts, reply):
                if self.left == 0:
                    raise KeyboardInterrupt
                self.left -= 1
                yield answer

    llm = endpoint(tmp_path / "r.jsonl")
    with pytest.raises(KeyboardInterrupt):
        relabel(planted(), Killed(llm, point))
    llm.close()
    stored = Replies.open(tmp_path / "r.jsonl")
    count = len(stored)
    stored.close()
    assert count >= point
    before = len(server.requests)
    resumed = relabel(planted(), endpoint(tmp_path / "r.jsonl"))
    assert collection_hash(resumed) == collection_hash(whole)
    assert resumed.card == whole.card
    assert len(server.requests) - before <= 36 - count + 8


@pytest.mark.slow
def test_killed_by_sigkill_at_ten_points_it_ends_with_the_same_bytes(
    server, endpoint, planted, tmp_path
):
    """A point is a number of replies stored in a process, and half a line of one more."""
    save(planted(), tmp_path / "mined")

    def run(name, left=None):
        words = [sys.executable, str(WORKER), server.url, str(tmp_path / "mined")]
        words += [str(tmp_path / name), *([str(left)] if left is not None else [])]
        done = subprocess.run(words, capture_output=True)
        return done.returncode, done.stderr.decode()

    assert run("whole") == (0, "")
    assert len(server.requests) == 36
    server.requests.clear()
    for left in (0, 1, 2, 5, 1, 7, 3, 4, 6, 2):
        assert run("killed", left)[0] == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    code, told = run("killed")
    assert code == 0, told
    assert len(server.requests) <= 36 + 10 * 8  # a kill loses what is in flight, nothing else
    names = [sorted(p.name for p in (tmp_path / n).iterdir()) for n in ("whole", "killed")]
    assert names[0] == names[1]
    for path in sorted((tmp_path / "whole").iterdir()):
        assert path.read_bytes() == (tmp_path / "killed" / path.name).read_bytes(), path.name


def test_rules_share_their_replies(server, endpoint, planted, tmp_path):
    from annatto.mine.rules import Settings

    for rule in ("R", "F", "R+F"):
        llm = endpoint(tmp_path / "r.jsonl")
        relabel(planted(), llm, settings=Settings(rule=rule))
        llm.close()
    assert len(server.requests) == 36
    assert sum(r["messages"][0]["content"].startswith(extract.TASK) for r in server.requests) == 30
