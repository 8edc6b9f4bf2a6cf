"""What is put around a text: formats, demonstrations, their limit, and what a folder keeps."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from annatto.core.errors import UsageError, WeightsError
from annatto.core.types import Prompt
from annatto.models.embedder import Embedder
from annatto.models.prompts import from_json, instruct, markup, render, shorten, suffix, to_json
from annatto.models.transformer import read_tokenizer
from annatto.testing import tiny_model

DEMOS = (("add", "a + b"), ("sort", "sorted(x)"))


@pytest.fixture
def model(tmp_path):
    return Embedder.load(tiny_model(tmp_path / "tiny"), instruction="Find it.")


def shown(prompt, text):
    return render(prompt) + text + suffix(prompt)


def test_the_instruct_format_is_that_of_the_report():
    assert shown(replace(instruct("T"), demos=(("q1", "p1"), ("q2", "p2"))), "q") == (
        "Instruct: T\nQuery: q1\nResponse: p1\n\n"
        "Instruct: T\nQuery: q2\nResponse: p2\n\n"
        "Instruct: T\nQuery: q"
    )


def test_the_markup_format_is_that_of_bge_en_icl():
    examples = [f"<instruct>T\n<query>{q}\n<response>{p}" for q, p in DEMOS]
    expected = "\n\n".join(examples) + "\n\n" + "<instruct>T\n<query>q" + "\n<response>"
    assert shown(replace(markup("T"), demos=DEMOS), "q") == expected
    assert shown(markup("T"), "q") == "<instruct>T\n<query>q\n<response>"


def test_braces_in_what_is_put_in_mean_nothing():
    strange = (("{response}", "{query} {0} {"), ("{instruction}", "{text}"))
    prompt = replace(markup("{text}{query}"), demos=strange)
    assert render(prompt) == (
        "<instruct>{text}{query}\n<query>{response}\n<response>{query} {0} {\n\n"
        "<instruct>{text}{query}\n<query>{instruction}\n<response>{text}\n\n"
        "<instruct>{text}{query}\n<query>"
    )
    assert suffix(Prompt("{text} {instruction} {query}", "{text}")) == " {text} {query}"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"template": "Query: "}, "must hold {text} exactly once; found it 0 times in 'Query: '"),
        ({"template": "{text}{text}"}, "must hold {text} exactly once; found it 2 times"),
        ({"demo": "{query}"}, "a demonstration must hold {response} exactly once; found it 0"),
        ({"demo": "{response}"}, "a demonstration must hold {query} exactly once"),
    ],
)
def test_a_template_without_its_fields_is_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        Prompt(**fields)


def test_prompts_survive_json_and_old_folders_show_demonstrations_as_instruct():
    prompts = {"query": replace(markup("T"), demos=DEMOS), "document": Prompt.plain()}
    told = json.loads(json.dumps(to_json(prompts)))
    assert from_json(told) == prompts
    old = {"template": instruct("T").template, "instruction": "T", "demos": [["q", "p"]]}
    assert from_json({"query": old})["query"] == replace(instruct("T"), demos=(("q", "p"),))


def test_each_side_of_a_demonstration_is_cut_to_its_limit_and_counted(model):
    prompt = replace(instruct("T"), demos=(("x" * 300, "short"), ("y" * 256, "東京" * 50)))
    short, cut = shorten(prompt, model.tokenizer)
    assert cut == 2
    assert short.demos[0] == ("x" * 256, "short")
    assert short.demos[1] == ("y" * 256, ("東京" * 50)[:85])  # three bytes each: 255 tokens
    assert replace(short, demos=prompt.demos) == prompt
    assert shorten(short, model.tokenizer) == (short, 0)
    assert shorten(instruct("T"), model.tokenizer) == (instruct("T"), 0)
    with pytest.raises(UsageError, match="needs at least 1 token; found 0"):
        shorten(prompt, model.tokenizer, limit=0)


def test_a_cut_side_ends_without_a_space(model):
    short, cut = shorten(
        replace(instruct("T"), demos=(("ab   cd", "e"),)), model.tokenizer, limit=4
    )
    assert (short.demos, cut) == ((("ab", "e"),), 1)


def test_demonstrations_in_the_stored_prompt_survive_saving_and_change_queries_alone(
    model, tmp_path
):
    few = model.variant(prompts={"query": replace(model.prompts["query"], demos=DEMOS)})
    few.save(tmp_path / "saved")
    loaded = Embedder.load(tmp_path / "saved")
    assert loaded.prompts == few.prompts
    queries = loaded.encode(["multiply"], prompt="query")
    assert np.array_equal(queries, few.encode(["multiply"], prompt="query"))
    assert np.abs(queries - model.encode(["multiply"], prompt="query")).max() > 1e-3
    assert np.array_equal(loaded.encode(["multiply"]), model.encode(["multiply"]))


def test_no_demonstrations_are_the_plain_instruction(model):
    none = replace(instruct("Find it."), demos=(), demo="{query}{response}")
    texts = ["a", "multiply", ""]
    assert np.array_equal(
        model.encode(texts, prompt=none), model.encode(texts, prompt=Prompt(
            "Instruct: {instruction}\nQuery: {text}", "Find it."))
    )  # fmt: skip
    whole = [f"Instruct: Find it.\nQuery: {text}" for text in texts]
    assert model.tokenize(texts, prompt=none).ids == model.tokenize(whole).ids
    assert np.abs(model.encode(texts, prompt=none) - model.encode(whole)).max() < 1e-6


def test_what_stands_behind_the_text_is_shown_by_us_and_warned_of_for_others(
    model, tmp_path, caplog
):
    marked = model.variant(prompts={"query": markup("Find it.")})
    with caplog.at_level(logging.WARNING):
        marked.save(tmp_path / "saved")
    (said,) = caplog.messages
    assert r"append '\n<response>' to every text that it shows with the prompt 'query'" in said
    theirs = json.loads((tmp_path / "saved" / "config_sentence_transformers.json").read_text())
    assert theirs["prompts"]["query"] == "<instruct>Find it.\n<query>"
    by_hand = model.encode(["<instruct>Find it.\n<query>x\n<response>"])
    loaded = Embedder.load(tmp_path / "saved")
    assert np.abs(loaded.encode(["x"], prompt="query") - by_hand).max() < 1e-6


def test_a_format_of_ones_own_is_read_from_the_folder_and_a_wrong_one_named_with_its_file(
    model, tmp_path
):
    model.save(tmp_path / "saved")
    path = tmp_path / "saved" / "annatto.json"
    said = json.loads(path.read_text())
    said["prompts"]["query"] = {
        "template": "[{instruction}] {text} ->",
        "instruction": "T",
        "demos": [["q", "p"]],
        "demo": "{query} -> {response}; ",
    }
    path.write_text(json.dumps(said))
    assert shown(Embedder.load(tmp_path / "saved").prompts["query"], "x") == "q -> p; [T] x ->"
    said["prompts"]["query"]["template"] = "no place"
    path.write_text(json.dumps(said))
    with pytest.raises(WeightsError, match=r"annatto\.json: a prompt template must"):
        Embedder.load(tmp_path / "saved")


def test_special_tokens_do_not_count_towards_the_limit_of_a_side(tmp_path):
    tokenizer = read_tokenizer(tiny_model(tmp_path / "e", kind="encoder"), ends_in_eos=False)
    short, cut = shorten(replace(instruct("T"), demos=(("abcdef", "é" * 9),)), tokenizer, limit=5)
    assert (short.demos, cut) == ((("abcde", "éé"),), 2)


def test_demonstrations_take_nothing_from_the_text(model):
    tight = replace(model, max_tokens=60)
    shown = replace(model.prompts["query"], demos=DEMOS)
    text = "x" * 20
    bare, behind = (tight.tokenize([text], prompt=p) for p in (model.prompts["query"], shown))
    assert not bare.cut.any()
    assert not behind.cut.any()
    assert len(behind.ids[0]) > 60 >= len(bare.ids[0])
