"""What show-prompt says is what the model is given."""

from dataclasses import replace

import pytest

from annatto.core.errors import UsageError
from annatto.models import shown
from annatto.models.embedder import Embedder
from annatto.models.prompts import instruct, markup
from annatto.testing import tiny_model


@pytest.mark.parametrize("kind", ["decoder", "encoder"])
@pytest.mark.parametrize("is_saved", [False, True])
def test_the_ids_are_those_that_the_model_gets(tmp_path, kind, is_saved):
    folder = tiny_model(tmp_path / "tiny", kind=kind)
    model = Embedder.load(folder)
    if is_saved:
        model = Embedder.load(folder, instruction="Find it.", max_tokens=40)
        folder = model.save(tmp_path / "saved")
    for prompt in ("query", "document", "query/any"):
        for text in ("short", "long " * 99, ""):
            found = shown.show(shown.read(folder), text, prompt=prompt)
            assert found.ids == model.tokenize([text], prompt=prompt).ids[0]
            assert found.special + found.prefix + found.text + found.suffix == len(found.ids)


def test_the_counts_and_the_decoded_input_of_a_text_that_is_cut(tmp_path):
    reader = shown.read(tiny_model(tmp_path / "tiny"))
    reader = replace(reader, max_tokens=40, prompts={**reader.prompts, "query": markup("T")})
    found = shown.show(reader, "0123456789", prompt="query")
    assert found.input == "<instruct>T\n<query>012345678\n<response><eos>"
    assert (found.special, found.prefix, found.text, found.suffix) == (1, 19, 9, 11)
    assert (found.cut_tokens, found.cut_sides) == (1, 0)
    assert "cut off: 1 tokens of the text" in found.counts


def test_demonstrations_take_the_place_of_the_stored_ones_and_their_cuts_are_counted(tmp_path):
    reader = shown.read(tiny_model(tmp_path / "tiny"))
    stored = replace(instruct("T"), demos=(("q", "p"),))
    reader = replace(reader, prompts={**reader.prompts, "query": stored})
    assert shown.show(reader, "x", prompt="query").input.startswith("Instruct: T\nQuery: q\n")
    found = shown.show(reader, "x", prompt="query", demos=[("z" * 300, "w")])
    side = "z" * 256
    assert found.input == (f"Instruct: T\nQuery: {side}\nResponse: w\n\nInstruct: T\nQuery: x<eos>")
    assert found.cut_sides == 1
    with pytest.raises(UsageError, match="leaves no room for a text"):
        shown.show(reader, "x", prompt="query", demos=[("z" * 300, "w" * 300)])
