import sys
import types

import pytest

from annatto.core.errors import InputError, MissingExtra
from annatto.data.hub import from_hub


def fake(monkeypatch, load_dataset):
    module = types.ModuleType("datasets")
    module.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_a_hub_table_is_read_row_by_row(monkeypatch):
    def load_dataset(name, config, *, split, streaming):
        assert (name, config, split, streaming) == ("o/pets", None, "validation", True)
        return iter([{"q": "who", "a": "it"}])

    fake(monkeypatch, load_dataset)
    collection = from_hub("o/pets", columns={"query": "q", "text": "a"}, part="validation")
    assert collection.queries.to_pylist()[0]["task"] == "pets"
    assert collection.queries["split"].to_pylist() == ["dev"]


def test_an_unreachable_hub_is_one_sentence(monkeypatch):
    def load_dataset(*args, **options):
        raise ConnectionError("no route")

    fake(monkeypatch, load_dataset)
    with pytest.raises(InputError, match=r"o/pets \(train\) could not be read from the hub"):
        from_hub("o/pets", columns={"text": "a"})


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'annatto\[mteb\]'"):
        from_hub("o/pets", columns={"text": "a"})
