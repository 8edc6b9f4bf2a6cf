"""What a sentence-transformers folder says is followed, or refused."""

import json

import pytest

from annatto.core.errors import AnnattoError, WeightsError
from annatto.core.types import Prompt
from annatto.models import layout
from annatto.models.prompts import render


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "m").mkdir()
    prompts = {"document": Prompt.plain(), "query": Prompt.plain()}
    layout.write_modules(tmp_path / "m", pooling="mean", dim=4, max_tokens=9, prompts=prompts)
    return tmp_path / "m"


def put(folder, file, **changes):
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("prompts", "default", "document", "query"),
    [
        ({"query": "q: ", "passage": "p: "}, None, "p: ", "q: "),
        ({"query": "q: ", "passage": "p: ", "document": "d: "}, "passage", "d: ", "q: "),
        ({"query": "q: ", "plain": "x: "}, "plain", "x: ", "q: "),
        ({"all": "a: "}, "all", "a: ", "a: "),
    ],
)
def test_prompts_get_their_roles_from_names_and_the_default(
    folder, prompts, default, document, query
):
    said = {"prompts": prompts, "default_prompt_name": default}
    put(folder, "config_sentence_transformers.json", **said)
    found = layout.read(folder).prompts
    assert (render(found["document"]), render(found["query"])) == (document, query)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("sentence_bert_config.json", {"do_lower_case": True}, "lowers the case of its texts"),
        (
            "1_Pooling/config.json",
            {"include_prompt": False},
            "leaves the prompt out of the pooling",
        ),
    ],
)
def test_what_cannot_be_reproduced_is_refused(folder, file, changes, message):
    put(folder, file, **changes)
    with pytest.raises(WeightsError, match=message):
        layout.read(folder)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("modules.json", "{}", "modules.json asks|modules.json, or|m is made of"),
        ("modules.json", "[3]", "modules.json, or a file it names, makes no sense"),
        ("modules.json", "[{}]", "modules.json does not say type; save, fetch or train"),
        ("1_Pooling/config.json", "[]", "config.json holds no JSON object"),
        ("annatto.json", "[]", "annatto.json holds no JSON object"),
        ("annatto.json", "{}", "annatto.json does not say pooling; save, fetch or train"),
    ],
)
def test_a_damaged_file_is_one_sentence(folder, file, content, message):
    (folder / file).write_text(content)
    with pytest.raises(AnnattoError, match=message):
        layout.read(folder)
