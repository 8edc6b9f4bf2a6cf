"""Every published method has a row in docs/methods.md, and every row a place in the code."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "annatto"


def places_with_a_paper():
    """Dotted places, without `annatto.`, whose docstring names a paper."""
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        tree = ast.parse(path.read_text())
        module = ".".join(path.relative_to(SRC).with_suffix("").parts)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                if "Paper:" in text:
                    place = module if isinstance(node, ast.Module) else f"{module}.{node.name}"
                    found[place] = text
    return found


def rows():
    text = (ROOT / "docs" / "methods.md").read_text()
    return [line for line in text.splitlines() if line.startswith("|")]


def test_every_paper_line_has_a_row():
    table = "\n".join(rows())
    missing = [place for place in places_with_a_paper() if f"`{place}`" not in table]
    assert not missing


def test_every_row_names_a_place_that_has_a_paper_line():
    named = {name for line in rows() for name in re.findall(r"`([a-z_]+(?:\.\w+)+)`", line)}
    assert named <= set(places_with_a_paper()), named - set(places_with_a_paper())


def test_every_paper_line_names_a_title_and_a_year():
    for place, text in places_with_a_paper().items():
        line = " ".join(text.split("Paper:")[1].split())
        assert re.search(r"\b(19|20)\d\d\b", line), f"{place}: the Paper line has no year"
