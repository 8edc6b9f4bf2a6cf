"""What an LLM wrote becomes a value of the type that was asked for, or a Failure."""

from dataclasses import dataclass

import pytest

from annatto.core.reply import read, schema
from annatto.core.types import Failure


@dataclass(frozen=True)
class Both:
    order: tuple[int, ...]
    sure: bool


@dataclass(frozen=True)
class Plain:
    span: str

    @classmethod
    def from_text(cls, text):
        return cls(text) if text else None


@pytest.mark.parametrize(
    "text",
    [
        '{"order": [2, 1], "sure": true}',
        '```json\n{"order": [2, 1], "sure": true}\n```',
        '<think>{"order": [9], "sure": false}</think> {"order": [2, 1], "sure": true, "x": 1}',
        'Here: {"order": [2, 1], "sure": true}.',
    ],
)
def test_json_is_read_wherever_it_stands(text):
    assert read(text, Both) == Both((2, 1), True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[2, 1]",
        '{"order": [2, 1]}',
        '{"order": [2, 1], "sure": 1}',
        '{"order": ["2"], "sure": true}',
        '{"order": [true], "sure": true}',
        '{"order": [2',
        "}{",
        "{" * 5000 + "}" * 5000,
    ],
)
def test_json_that_does_not_fit_is_a_failure_with_its_text(text):
    assert read(text, Both) == Failure("unreadable reply", text)


def test_plain_text_is_read_where_the_type_can():
    assert read("a {span} of code", Plain) == Plain("a {span} of code")
    assert read('{"span": "a"}', Plain) == Plain("a")
    assert read('{"other": 1}', Plain) == Plain('{"other": 1}')
    assert isinstance(read("<think>never ends", Plain), Failure)


def test_the_schema_names_every_field_and_its_type():
    assert schema(Both) == {
        "type": "object",
        "properties": {
            "order": {"type": "array", "items": {"type": "integer"}},
            "sure": {"type": "boolean"},
        },
        "required": ["order", "sure"],
        "additionalProperties": False,
    }
