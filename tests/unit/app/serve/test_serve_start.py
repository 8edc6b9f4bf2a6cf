"""Starting: keys, addresses, lengths that cards allow, models that are not what they were."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from annatto.app.cli import app
from annatto.app.serve import start
from annatto.app.serve.key import read_key
from annatto.app.serve.lengths import allowed, lengths_of
from annatto.app.serve.site import Source, open_site
from annatto.core.errors import InputError, UsageError, WeightsError


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def test_another_address_needs_a_key(monkeypatch, tmp_path):
    monkeypatch.delenv("KEY", raising=False)
    assert read_key("KEY", None, host="127.0.0.1") == ""
    with pytest.raises(UsageError, match=r"0\.0\.0\.0 lets others in and needs an API key.* KEY"):
        read_key("KEY", None, host="0.0.0.0")
    monkeypatch.setenv("KEY", " abc \n")
    assert read_key("KEY", None, host="0.0.0.0") == "abc"
    file = tmp_path / "key"
    file.write_text("def\n")
    assert read_key("KEY", file, host="example.com") == "def"
    file.write_text("\n")
    with pytest.raises(InputError, match="must hold an API key in its first line; found none"):
        read_key("KEY", file, host="127.0.0.1")
    with pytest.raises(InputError, match="cannot be read"):
        read_key("KEY", tmp_path / "gone", host="127.0.0.1")
    monkeypatch.setenv("KEY", "schlüssel")
    with pytest.raises(UsageError, match="without spaces or accents"):
        read_key("KEY", None, host="127.0.0.1")


def test_a_key_never_stands_on_the_command_line():
    options = CliRunner().invoke(app, ["serve", "--help"]).stdout
    assert "--api-key-env" in options
    assert "--api-key-file" in options
    assert "--api-key " not in options


def test_the_command_refuses_another_address_without_a_key(saved, monkeypatch):
    monkeypatch.delenv("ANNATTO_API_KEY", raising=False)
    told = CliRunner().invoke(app, ["serve", str(saved), "--host", "0.0.0.0", "--port", "0"])
    assert told.exit_code == 2
    assert "needs an API key" in told.stderr


def test_a_port_in_use_is_told_before_a_model_is_loaded():
    with start.listen_at("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        told = CliRunner().invoke(app, ["serve", "no-such-model", "--port", str(port)])
    assert told.exit_code == 1
    assert f"cannot serve on 127.0.0.1:{port}" in told.stderr


@pytest.mark.parametrize("role", ["document", "query"])
def test_a_tampered_prompt_is_refused_with_exit_code_1(copy, role):
    place = copy / "annatto.json"
    said = json.loads(place.read_text())
    said["prompts"][role]["template"] = "tampered {instruction}{text}"
    place.write_text(json.dumps(said))
    told = CliRunner().invoke(app, ["serve", str(copy), "--port", "0"])
    assert told.exit_code == 1
    assert "other vectors for 6 of 12 probe texts" in told.stderr
    assert role in told.stderr


def test_tampered_weights_are_refused_even_with_their_identity_made_anew(copy):
    from safetensors.torch import load_file, save_file

    from annatto.models import transformer

    tensors = load_file(copy / "model.safetensors")
    tensors["norm.weight"][3] *= 2
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="changed since it was saved"):
        start.open_source(str(copy), dtype="float32", dimensions="")
    said = json.loads((copy / "annatto.json").read_text())
    config = transformer.read_config(copy, layers=None, bidirectional=False)
    said["weights_id"] = transformer.identity(copy, config)
    (copy / "annatto.json").write_text(json.dumps(said))
    with pytest.raises(WeightsError, match="other vectors for 12 of 12 probe texts"):
        start.open_source(str(copy), dtype="float32", dimensions="")


def test_a_right_model_starts_and_one_without_probes_is_told(saved, encoder, caplog):
    assert start.open_source(str(saved), dtype="float32", dimensions="").lengths == frozenset()
    assert not caplog.records
    start.open_source(str(encoder.source.parent / "tiny"), dtype="float32", dimensions="4,8")
    assert "no probe vectors to be checked by" in caplog.text


def test_a_model_saved_in_bfloat16_is_right_in_float32_too(encoder, tmp_path):
    half = str(encoder.save(tmp_path / "half", dtype="bfloat16"))
    for dtype in ("float32", "bfloat16"):
        assert start.open_source(half, dtype=dtype, dimensions="").encoder.dtype == dtype


def test_an_index_whose_model_is_read_otherwise_than_saved_is_served_so(saved, tmp_path):
    from annatto.index.folder import build
    from annatto.models.embedder import Embedder
    from annatto.testing import tiny_collection

    settings = {"weights": str(saved), "pooling": "mean"}
    build(tiny_collection(), Embedder.load(**settings), tmp_path / "index", weights=settings)
    source = start.open_source(str(tmp_path / "index"), dtype="float32", dimensions="")
    assert source.encoder.pooling == "mean"
    open_site([source]).close()


def test_lengths_come_from_cards_configurations_and_the_user(copy):
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps(card | {"settings": {"matryoshka": [16, 8]}}))
    assert lengths_of(copy) == {8, 16}
    assert start.open_source(str(copy), dtype="float32", dimensions="4").lengths == {4, 8, 16}
    (copy / "card.json").unlink()
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"matryoshka_dimensions": [12]}))
    assert lengths_of(copy) == {12}
    for words in ("0", "33", "a", "8,-1"):
        with pytest.raises(UsageError, match="lengths from 1 to 32 with commas between"):
            allowed(words, 32)


def test_two_models_of_one_name_are_refused(encoder):
    with pytest.raises(UsageError, match="needs a name of its own; 'tiny' comes 2 times"):
        open_site([Source(encoder=encoder), Source(encoder=encoder)])


def test_a_missing_extra_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fastapi", None)
    told = CliRunner().invoke(app, ["serve", "tiny"])
    assert told.exit_code == 1
    assert "pip install 'annatto[serve]'" in told.stderr
