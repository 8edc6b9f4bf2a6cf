"""Write docs/cli.md from the commands themselves: python docs/make_cli.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from annatto.app.cli import app

PLACE = Path(__file__).with_name("cli.md")
HEAD = """# Command line

`annatto VERB INPUT --option value -o OUTPUT`. Results go to stdout, everything else to stderr.
Exit code 0: done. 1: an error, in one sentence. 2: a command that makes no sense. 130: stopped by
Ctrl-C. An output that exists is replaced only if it is the same kind of thing.

This page is made by `python docs/make_cli.py`; a test checks that it is current.
"""


def page() -> str:
    """The whole page as Markdown."""
    group: Any = typer.main.get_command(app)
    parts = [HEAD]
    for words, command in commands(group, "annatto"):
        parts.append("\n".join(section(words, command)))
    return "\n".join(parts).rstrip() + "\n"


def commands(group: Any, words: str) -> Iterator[tuple[str, Any]]:
    """Every command with its words, in the order of the help."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{words} {name}")
        else:
            yield f"{words} {name}", command


def section(words: str, command: Any) -> Iterator[str]:
    """Help, usage, example and options of one command."""
    text, _, example = command.help.partition("Example:")
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    shown = " ".join(argument_name(argument) for argument in arguments)
    yield f"## {words}\n"
    yield text.strip() + "\n"
    yield f"```console\n$ {' '.join(example.split())}\n```\n"
    yield f"Usage: `{words} {shown} [OPTIONS]`\n".replace("  ", " ")
    yield "| argument or option | what | default |"
    yield "| --- | --- | --- |"
    for parameter in command.params:
        yield row(parameter)
    yield ""


def row(parameter: Any) -> str:
    """One argument or option as a row of the table."""
    if parameter.param_type_name == "argument":
        names = f"`{argument_name(parameter)}`"
    else:
        names = ", ".join(f"`{o}`" for o in (*parameter.opts, *parameter.secondary_opts))
    said = " ".join((parameter.help or "").split()).replace("|", "\\|")
    return f"| {names} | {said} | {default(parameter)} |"


def argument_name(parameter: Any) -> str:
    """An argument as the usage line shows it."""
    return str(parameter.metavar or parameter.name).upper()


def default(parameter: Any) -> str:
    """The default as it would be typed; empty for none and for switches that are off."""
    if parameter.required:
        return "needed"
    value = parameter.default
    if value is None or value is False or value == "" or value == []:
        return ""
    return "on" if value is True else f"`{value}`"


if __name__ == "__main__":
    PLACE.write_text(page(), encoding="utf-8")
