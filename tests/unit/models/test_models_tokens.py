"""A chat template is dropped, whether or not weights lie beside the tokenizer."""

from transformers import AutoTokenizer

from annatto.models.tokens import open_tokenizer
from annatto.testing import tiny_model


def test_the_chat_template_is_dropped_and_not_saved(tmp_path):
    folder = tiny_model(tmp_path / "tiny", chat_template=True)
    fast = AutoTokenizer.from_pretrained(folder)
    assert fast.chat_template
    opened = open_tokenizer(fast, ends_in_eos=True)
    assert opened.fast.chat_template is None
    opened.fast.save_pretrained(tmp_path / "saved")
    assert AutoTokenizer.from_pretrained(tmp_path / "saved").chat_template is None
    assert not list((tmp_path / "saved").glob("*.jinja"))
