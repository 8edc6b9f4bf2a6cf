"""Importing annatto, or asking for help, loads nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "faiss", "matplotlib", "bm25s", "ir_measures")


def heavy_modules_after(code):
    check = f"import sys\n{code}\nsys.exit(','.join(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    return done.stderr.strip()


def test_import_annatto_loads_nothing_heavy_and_prints_nothing():
    assert heavy_modules_after("import annatto") == ""


@pytest.mark.parametrize("words", [["--help"], ["demo", "--help"], ["train", "--help"]])
def test_help_loads_nothing_heavy(words):
    code = (
        f"import sys\nfrom annatto.app.cli import app\ntry: app({words!r})\nexcept SystemExit: pass"
    )
    assert heavy_modules_after(code) == ""


def test_every_public_name_can_be_had():
    import annatto

    assert all(getattr(annatto, name) is not None for name in annatto.__all__)
