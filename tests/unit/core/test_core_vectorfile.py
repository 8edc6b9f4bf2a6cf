import json

import numpy as np
import pytest

from annatto.core.encode import encode_windows
from annatto.core.errors import InputError, UsageError
from annatto.core.vectorfile import encode_to
from annatto.testing import TinyEncoder, tiny_encoder

WINDOWS = [["a b", "c"], ["d"], ["e f g", "c", "h"]]


class Counting(TinyEncoder):
    """A tiny encoder that counts its windows, and is killed before one of them."""

    def __init__(self, *, dies_at=99):
        super().__init__()
        self.seen = 0
        self.dies_at = dies_at

    def encode(self, texts, *, prompt="document"):
        if self.seen == self.dies_at:
            raise KeyboardInterrupt
        self.seen += 1
        return super().encode(texts, prompt=prompt)


def test_the_file_holds_the_vector_of_every_text_in_order(tmp_path):
    found = encode_to(tmp_path / "v.npy", WINDOWS, count=6, encoder=tiny_encoder())
    assert isinstance(found, np.memmap)
    expected = tiny_encoder().encode([text for texts in WINDOWS for text in texts])
    assert np.array_equal(found, expected)
    assert np.array_equal(np.load(tmp_path / "v.npy"), expected)


@pytest.mark.parametrize("dies_at", [0, 1, 2])
def test_killed_and_called_again_it_does_the_rest_and_gives_the_same_bytes(tmp_path, dies_at):
    encode_to(tmp_path / "whole.npy", WINDOWS, count=6, encoder=tiny_encoder())
    place = tmp_path / "v.npy"
    with pytest.raises(KeyboardInterrupt):
        encode_to(place, WINDOWS, count=6, encoder=Counting(dies_at=dies_at))
    with place.open("ab") as file:
        file.write(b"half a row")
    with pytest.raises(ValueError, match="Failed to read all data"):
        np.load(place)
    again = Counting()
    encode_to(place, WINDOWS, count=6, encoder=again)
    assert again.seen == 3 - dies_at
    assert place.read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert (tmp_path / "v.npy.json").read_bytes() == (tmp_path / "whole.npy.json").read_bytes()


def test_a_file_that_is_whole_is_not_encoded_again(tmp_path):
    encode_to(tmp_path / "v.npy", WINDOWS, count=6, encoder=tiny_encoder())
    again = Counting()
    encode_to(tmp_path / "v.npy", iter(WINDOWS), count=6, encoder=again)
    assert again.seen == 0


@pytest.mark.parametrize(
    ("name", "value"), [("weights_id", "other"), ("dtype", "bfloat16"), ("attention", "eager")]
)
def test_a_file_of_another_model_is_refused_and_kept(tmp_path, name, value):
    place = tmp_path / "v.npy"
    encode_to(place, WINDOWS, count=6, encoder=tiny_encoder())
    before = place.read_bytes()
    other = tiny_encoder()
    setattr(other, name, value)
    with pytest.raises(UsageError, match=rf"v.npy holds .*\({name} differ\); remove it and v.npy."):
        encode_to(place, WINDOWS, count=6, encoder=other)
    assert place.read_bytes() == before


def test_a_file_of_other_texts_or_of_another_prompt_is_refused(tmp_path):
    place = tmp_path / "v.npy"
    encoder = tiny_encoder()
    encode_to(place, WINDOWS, count=6, encoder=encoder)
    changed = [WINDOWS[0], ["other"], WINDOWS[2]]
    with pytest.raises(UsageError, match="the texts from 2 on differ"):
        encode_to(place, changed, count=6, encoder=encoder)
    with pytest.raises(UsageError, match="count differ"):
        encode_to(place, WINDOWS[:1], count=2, encoder=encoder)
    from annatto.core.types import Prompt

    with pytest.raises(UsageError, match="prompt differ"):
        encode_to(place, WINDOWS, count=6, encoder=encoder, prompt=Prompt("Find: {text}"))


def test_a_file_that_says_nothing_of_itself_is_refused(tmp_path):
    (tmp_path / "v.npy").write_bytes(b"precious")
    with pytest.raises(UsageError, match="holds vectors of another model"):
        encode_to(tmp_path / "v.npy", WINDOWS, count=6, encoder=tiny_encoder())
    assert (tmp_path / "v.npy").read_bytes() == b"precious"


def test_a_file_that_lost_vectors_is_refused(tmp_path):
    place = tmp_path / "v.npy"
    encode_to(place, WINDOWS, count=6, encoder=tiny_encoder())
    place.write_bytes(place.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"is damaged .shorter than the 6 vectors that are done"):
        encode_to(place, WINDOWS, count=6, encoder=tiny_encoder())


@pytest.mark.parametrize(("count", "found"), [(7, "found 6"), (5, "found at least 6")])
def test_a_wrong_count_is_refused(tmp_path, count, found):
    with pytest.raises(InputError, match=f"needs exactly {count} texts, as it was told; {found}"):
        encode_to(tmp_path / "v.npy", WINDOWS, count=count, encoder=tiny_encoder())


def test_a_vector_that_is_not_finite_is_refused_with_its_row(tmp_path):
    class Broken(TinyEncoder):
        def encode(self, texts, *, prompt="document"):
            vectors = super().encode(texts, prompt=prompt)
            return vectors * float("nan") if "d" in texts else vectors

    with pytest.raises(InputError, match=r"1 of 1 hold NaN or infinity .first: row 2"):
        encode_to(tmp_path / "v.npy", WINDOWS, count=6, encoder=Broken())
    state = json.loads((tmp_path / "v.npy.json").read_text())
    assert [window["texts"] for window in state["windows"]] == [2]


def test_an_encoder_with_windows_of_its_own_is_asked_for_them():
    class Own(TinyEncoder):
        def encode_windows(self, windows, *, prompt="document"):
            for texts in windows:
                yield np.full((len(texts), 64), len(prompt), np.float32)

    assert [int(v[0, 0]) for v in encode_windows(Own(), WINDOWS, prompt="query")] == [5, 5, 5]
    assert [len(v) for v in encode_windows(tiny_encoder(), WINDOWS)] == [2, 1, 3]
