"""The documentation of the command line is whole and current."""

import importlib.util
from pathlib import Path

import pytest
import typer

from annatto.app.cli import app

DOCS = Path(__file__).parents[1] / "docs"


def generator():
    spec = importlib.util.spec_from_file_location("make_cli", DOCS / "make_cli.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def all_commands():
    return list(generator().commands(typer.main.get_command(app), "annatto"))


def test_the_page_on_the_command_line_is_current():
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert text == generator().page(), "run python docs/make_cli.py"


@pytest.mark.parametrize(("words", "command"), all_commands(), ids=lambda x: str(x))
def test_every_command_and_option_has_help_and_stands_in_the_docs(words, command):
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert f"## {words}\n" in text
    assert f"$ {words}" in text, f"{words} needs an example that begins with its own words"
    part = text.split(f"## {words}\n")[1].split("\n## ")[0]
    for parameter in command.params:
        assert parameter.help, f"{words}: {parameter.name} has no help"
        for option in parameter.opts if parameter.param_type_name == "option" else ():
            assert f"`{option}`" in part
