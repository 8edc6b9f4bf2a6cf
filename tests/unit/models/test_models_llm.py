"""The client of OpenAI-compatible servers, against a server that answers well and badly."""

import dataclasses
import itertools
import threading

import pytest

from annatto.core.errors import InputError, UsageError
from annatto.core.types import Ask, Failure
from annatto.models.llm import Endpoint, Service
from annatto.models.replies import Replies


@dataclasses.dataclass(frozen=True)
class Word:
    word: str


QUICK = {"backoff": 0.001, "timeout": 20.0, "retries": 3, "concurrency": 4}


def endpoint(server, replies=None, key="", **settings):
    return Endpoint(Service(server.url, "m", **{**QUICK, **settings}), key=key, replies=replies)


def asks(count):
    return [Ask(f"k{i}", f"prompt {i}") for i in range(count)]


def answered(llm, prompts, reply=str):
    return {answer.key: answer for answer in llm.ask(prompts, reply)}


def test_every_question_is_answered_under_its_key(server, do):
    server.script = lambda prompt, _: do(prompt.upper())
    found = answered(endpoint(server), asks(30))
    assert {key: a.value for key, a in found.items()} == {f"k{i}": f"PROMPT {i}" for i in range(30)}
    assert {(a.tokens, a.written) for a in found.values()} == {(10, 3)}


def test_a_request_is_greedy_and_carries_model_schema_key_and_extra(server):
    extra = {"chat_template_kwargs": {"enable_thinking": False}}
    found = answered(endpoint(server, key="secret", extra=extra), asks(1), Word)
    assert found["k0"].value == Word("yes")
    request = server.requests[0]
    assert (request["model"], request["temperature"]) == ("m", 0)
    assert request["chat_template_kwargs"] == {"enable_thinking": False}
    assert request["response_format"]["json_schema"]["schema"]["required"] == ["word"]
    assert server.keys == {"Bearer secret"}


@pytest.mark.parametrize(
    "bad",
    [
        {"status": 429},
        {"status": 500, "text": "oh"},
        {"status": 503, "headers": (("Retry-After", "0.01"),)},
        {"how": "raw", "text": '{"choices": [{"mess'},
        {"how": "raw", "text": "<html>"},
        {"how": "raw", "text": '{"choices": []}'},
        {"how": "raw", "text": '{"choices": [{"message": {"content": null}}]}'},
        {"how": "half", "text": "a longer text, of which half is lost"},
        {"how": "close"},
    ],
    ids=str,
)
def test_what_may_pass_is_asked_again_and_what_does_not_is_a_failure(server, do, bad):
    server.script = lambda prompt, nth: do(**bad) if nth < (9 if "2" in prompt else 2) else do("ok")
    found = answered(endpoint(server), asks(4))
    values = {key: a.value for key, a in found.items()}
    assert isinstance(values.pop("k2"), Failure)
    assert values == dict.fromkeys(values, "ok")
    assert server.times == {"prompt 0": 3, "prompt 1": 3, "prompt 2": 4, "prompt 3": 3}


@pytest.mark.parametrize("how", ["never", "hang", "drip"])
def test_a_server_that_does_not_end_is_left_at_the_timeout(server, do, how):
    server.script = lambda prompt, _: do("x" * 99, how=how) if "1" in prompt else do("ok")
    found = answered(endpoint(server, timeout=1.0, retries=1), asks(3))
    assert found["k1"].value.kind == "timeout"
    assert server.times["prompt 1"] == 2
    assert found["k0"].value == found["k2"].value == "ok"


def test_an_error_of_one_question_alone_is_not_repeated(server, do):
    server.script = lambda prompt, _: do("too long", 400) if "1" in prompt else do("ok")
    found = answered(endpoint(server), asks(3))
    assert found["k1"].value == Failure("HTTP 400", "too long")
    assert server.times["prompt 1"] == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_of_everyone_ends_the_run(server, do, status):
    server.script = lambda *_: do("bad key", status)
    with pytest.raises(InputError, match=rf"HTTP {status}: bad key.*check the address"):
        answered(endpoint(server), asks(50))
    assert len(server.requests) <= 12


def test_a_server_that_answers_nobody_ends_the_run(server, do):
    server.script = lambda *_: do("down", 500)
    with pytest.raises(InputError, match=r"failed on 5 questions in a row .*HTTP 500: down"):
        answered(endpoint(server, patience=5, retries=0), asks(500))
    assert len(server.requests) < 50


def test_a_server_that_is_not_there_is_named():
    llm = Endpoint(Service("http://127.0.0.1:9/v1", "m", retries=0, patience=1))
    with pytest.raises(InputError, match=r"127.0.0.1:9/v1 failed on 1 .*connection"):
        answered(llm, asks(3))


def test_without_structured_output_plain_text_is_asked_for(server, do):
    server.structured = False
    server.script = lambda *_: do('Sure: {"word": "yes"}')
    found = answered(endpoint(server, concurrency=1), asks(4), Word)
    assert {a.value for a in found.values()} == {Word("yes")}
    assert len(server.requests) == 5


def test_a_refused_prompt_does_not_switch_structured_output_off(server, do):
    server.script = lambda prompt, _: do("long", 400) if "0" in prompt else do("yes")
    answered(endpoint(server, concurrency=1), asks(3), Word)
    assert ["response_format" in r for r in server.requests] == [True, False, True, True]


def test_a_reply_that_cannot_be_read_is_a_failure_with_its_text(server, do):
    server.script = lambda *_: do('{"word": 3}')
    answer = answered(endpoint(server), asks(1), Word)["k0"]
    assert answer.value == Failure("unreadable reply", '{"word": 3}')
    assert answer.tokens == 10


def test_a_redirect_is_not_followed_with_the_key(server, do):
    server.script = lambda *_: do("", 302, headers=(("Location", "http://127.0.0.1:9/"),))
    found = answered(endpoint(server, key="secret"), asks(1))
    assert found["k0"].value.kind == "HTTP 302"


def test_requests_in_flight_are_bounded_and_questions_are_read_as_they_are_sent(server, do):
    running, most, lock, gate = 0, 0, threading.Lock(), threading.Barrier(3)

    def script(prompt, nth):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(20)  # three run at once, or nobody gets on
        with lock:
            running -= 1
        return do("ok")

    server.script = script
    read = itertools.count()
    prompts = (Ask(f"k{next(read)}", f"prompt {i}") for i in range(30))
    answers = endpoint(server, concurrency=3).ask(prompts, str)
    next(answers)
    assert next(read) <= 8
    assert len(list(answers)) == 29
    assert most == 3


def test_stored_replies_are_not_asked_for_again(server, do, tmp_path):
    server.script = lambda prompt, nth: do(prompt.upper() + str(nth))
    first = Replies.open(tmp_path / "r.jsonl")
    before = answered(endpoint(server, first), asks(20))
    first.close()
    again = Replies.open(tmp_path / "r.jsonl")
    assert answered(endpoint(server, again), asks(20)) == before
    assert len(server.requests) == 20
    answered(endpoint(server, again, max_new_tokens=9), asks(1))
    answered(endpoint(server, again, extra={"a": 1}), asks(1))
    assert len(server.requests) == 22


def test_failures_are_not_stored(server, do, tmp_path):
    server.script = lambda _, nth: do("oh", 500) if not nth else do("ok")
    replies = Replies.open(tmp_path / "r.jsonl")
    llm = endpoint(server, replies, retries=0)
    assert answered(llm, asks(1))["k0"].value == Failure("HTTP 500", "oh")
    assert answered(llm, asks(1))["k0"].value == "ok"
    assert len(replies) == 1


def test_equal_questions_under_several_keys_are_asked_once(server, do, tmp_path):
    server.script = lambda _, nth: do(f"reply {nth}")
    llm = endpoint(server, Replies.open(tmp_path / "r.jsonl"))
    found = answered(llm, [Ask(f"k{i}", "the same") for i in range(20)])
    assert {a.value for a in found.values()} == {"reply 0"}
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"url": "localhost:8000"}, "begins with http"),
        ({"model": ""}, "needs a model's name"),
        ({"concurrency": 0}, "concurrency must be above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, told):
    with pytest.raises(UsageError, match=told):
        Endpoint(Service(**{"url": "http://x/v1", "model": "m", **settings}))
