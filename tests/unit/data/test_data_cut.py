import pytest

from annatto.data.cut import LIMIT, TARGET, pieces
from annatto.data.cut import cut_text as plain
from annatto.data.cut_html import cut_html
from annatto.data.cut_markdown import cut_markdown
from annatto.data.cut_python import cut_python

MARKDOWN = """---
title: front
---
Opening words.

# Guide

First *paragraph*
of two lines.

```python
# no heading

x = 1
```

## Install ##

Run it.

Use
---

- one
- two

# Last
"""
PYTHON = '''"""Module words."""
import os

# about one
@decorated
def one():
    return "é"  # ü


X = 1


class Two:
    """Words."""

    def go(self):
        return 2
'''
HTML = """<html><head><title>Page &amp; more</title><style>p { x: y }</style></head>
<body><p>Before   all
words.</p>
<h1>Top</h1><div>One <b>bold</b> word<br>next line<ul><li>item<li>other</ul></div>
<script>var hidden = "<p>no</p>";</script>
<h2>Deep</h2><pre>a
  b</pre>text at the end"""


def cut(cutter, text, is_verbatim=True):
    return list(pieces(cutter(text, "file"), text, is_verbatim=is_verbatim))


def test_markdown_is_cut_at_headings_and_keeps_fences_whole():
    assert [(p.title, p.text) for p in cut(cut_markdown, MARKDOWN)] == [
        ("file", "Opening words."),
        (
            "Guide",
            "First *paragraph*\nof two lines.\n\n```python\n# no heading\n\nx = 1\n```",
        ),
        ("Guide › Install", "Run it."),
        ("Guide › Use", "- one\n- two"),
    ]


def test_python_is_cut_at_functions_and_classes_with_their_comments():
    found = cut(cut_python, PYTHON)
    assert [p.title for p in found] == ["file", "file.one", "file", "file.Two"]
    assert found[1].text.startswith("# about one\n@decorated\ndef one():")
    assert found[3].text.endswith("return 2")


def test_python_that_does_not_parse_is_cut_at_empty_lines():
    assert [p.title for p in cut(cut_python, "def broken(:\n\nprint 1\n")] == ["file"]


def test_a_long_class_is_cut_at_its_methods():
    body = "".join(f"    def m{i}(self):\n        x = '{'y ' * 300}'\n\n" for i in range(6))
    found = cut(cut_python, f"class Big:\n{body}")
    assert len(found) == 6
    assert all(p.title == "file.Big" and f"m{i}" in p.text for i, p in enumerate(found))


def test_html_gives_its_text_by_blocks_without_scripts():
    found = cut(cut_html, HTML, is_verbatim=False)
    assert [(p.title, p.text) for p in found] == [
        ("Page & more", "Before all words."),
        ("Page & more › Top", "One bold word\n\nnext line\n\nitem\n\nother"),
        ("Page & more › Top › Deep", "a\n  b\n\ntext at the end"),
    ]
    assert HTML[found[0].start :].startswith("Before")
    assert HTML[found[1].start :].startswith("One")


@pytest.mark.parametrize(
    ("cutter", "text"),
    [(cut_markdown, MARKDOWN), (cut_python, PYTHON), (plain, "a b\r\n\r\n\r\nc\r\n")],
)
def test_a_piece_is_the_files_own_characters(cutter, text):
    for piece in cut(cutter, text):
        assert text[piece.start : piece.end] == piece.text


@pytest.mark.parametrize(
    "text",
    [
        "word " * 3000,
        "A sentence of some words. " * 400,
        "\n".join(["a line of code"] * 900),
        "x" * 9000,
        "文。" * 3000,
    ],
)
def test_a_long_block_is_broken_but_loses_nothing(text):
    found = cut(plain, text)
    assert all(len(p.text) <= LIMIT for p in found)
    assert "".join(p.text for p in found).split() == text.split() or (
        "".join("".join(p.text.split()) for p in found) == "".join(text.split())
    )


def test_paragraphs_are_packed_to_the_target():
    text = "\n\n".join(["w" * 390] * 9)
    assert [len(p.text) for p in cut(plain, text)] == [390 * 3 + 4] * 3
    assert TARGET >= 390 * 3 + 4


def test_a_small_rest_joins_the_piece_before_it():
    text = "\n\n".join(["w" * 590, "w" * 590, "end"])
    assert len(cut(plain, text)) == 1


def test_pieces_without_a_letter_are_left_out():
    assert cut(plain, "***\n\n---\n") == []
