"""A folder imports only folders to its left; siblings never import each other."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "annatto"
LAYERS = [
    {"core"},
    {"ops"},
    {"models", "index"},
    {"data", "mine", "train", "evaluate", "search", "audit"},
    {"app"},
]
RANK = {folder: i for i, layer in enumerate(LAYERS) for folder in layer}
FILES = sorted(SRC.glob("*/*.py"))
VAGUE = {"utils", "helpers", "common", "misc", "base"}


def imported_folders(path):
    """Folders of annatto that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        else:
            continue
        for name in found:
            parts = name.split(".")
            if parts[0] == "annatto" and len(parts) > 1 and parts[1] in RANK:
                yield parts[1]


def test_every_folder_has_a_layer():
    folders = {path.parent.name for path in FILES}
    assert folders <= set(RANK)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_file_imports_only_layers_to_its_left(path):
    own = path.parent.name
    wrong = {f for f in imported_folders(path) if f != own and RANK[f] >= RANK[own]}
    assert not wrong, f"{own}/{path.name} imports {sorted(wrong)}"


def test_relative_imports_are_not_used():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path


def test_testing_needs_only_core():
    assert set(imported_folders(SRC / "testing.py")) <= {"core"}


def test_files_are_named_for_what_they_give():
    assert not [path for path in FILES if path.stem in VAGUE]
