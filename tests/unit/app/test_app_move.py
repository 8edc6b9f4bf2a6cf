"""`annatto move`, from the folder into another place and back; without a server."""

import json

from typer.testing import CliRunner

from annatto.app.cli import app
from annatto.index.folder import build, open_index
from annatto.testing import tiny_collection, tiny_encoder


def test_an_index_moves_elsewhere_and_back_by_one_command_each(tmp_path):
    index, away = tmp_path / "index", f"file://{tmp_path}/away"
    build(tiny_collection(), tiny_encoder(), index, weights={})
    before = open_index(index).hash()
    for to in (away, "folder"):
        done = CliRunner().invoke(app, ["move", str(index), to, "--json"])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout) == {"index": str(index), "documents": 60, "store": to}
        assert open_index(index).hash() == before
        assert (index / "documents.lance").exists() == (to == "folder")


def test_an_address_that_makes_no_sense_is_a_usage_error(tmp_path):
    done = CliRunner().invoke(app, ["move", str(tmp_path), "somewhere"])
    assert done.exit_code == 2
    assert "a store needs an address that begins with s3://" in done.stderr
