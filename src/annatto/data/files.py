"""A folder of text files, cut into documents that remember their file and place."""

from __future__ import annotations

import bisect
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from annatto.core.card import with_notes
from annatto.core.errors import InputError
from annatto.core.progress import track
from annatto.core.tables import CORPUS
from annatto.core.types import Collection
from annatto.data.cut import Section, cut_text, pieces
from annatto.data.cut_html import cut_html
from annatto.data.cut_markdown import cut_markdown
from annatto.data.cut_python import cut_python
from annatto.data.lines import read_text
from annatto.data.records import Record, to_tables
from annatto.data.scratch import write_corpus

STAGE = "data.load"
CUTTERS: dict[str, Callable[[str, str], list[Section]]] = {
    ".txt": cut_text,
    ".md": cut_markdown,
    ".html": cut_html,
    ".htm": cut_html,
    ".py": cut_python,
}


def read_files(place: Path, *, scratch: Path | None = None) -> Collection:
    """Read the .txt, .md, .html and .py files under a folder (or one such file), in order of path.

    Files are cut at natural boundaries into documents of about 1,200 and at most 2,000 characters.
    A document is called `PATH#NUMBER`; `source` and `parent_id` are the file's path in the folder,
    `start` and `end` its characters in the file, `line` (int64, from 1) where it starts, and
    `title` its trail of headings. Hidden files and folders and caches are passed over. There are no
    queries: see `data.pretrain`.

    Args:
        place: the folder or file.
        scratch: folder for the corpus file (see `data.scratch`).

    Raises:
        InputError: there is no text in it, or a file is not UTF-8.
    """
    folder = place if place.is_dir() else place.parent
    found = list(_walk(folder)) if place.is_dir() else [place]
    wanted = [path for path in found if is_text(path)]
    others = Counter(path.suffix.lower() or "no ending" for path in found if not is_text(path))
    if not wanted:
        raise InputError(
            f"{place} holds no text: looked for {', '.join(CUTTERS)}, found "
            f"{_count(others) or 'no file at all'}; name another folder or convert the files."
        )
    notes: dict[str, Any] = {"files": len(wanted), "files_of_other_endings": dict(others)}
    empty = notes["files_without_text"] = []
    corpus = write_corpus(
        to_tables(_documents(wanted, folder, empty), CORPUS, str(place)),
        str(place),
        scratch=scratch,
    )
    return Collection(corpus=corpus, card=with_notes({}, STAGE, {"format": "files"}, notes))


def is_text(path: Path) -> bool:
    """Whether a file has one of the endings that `read_files` reads."""
    return path.suffix.lower() in CUTTERS


def _walk(folder: Path) -> Iterator[Path]:
    for name, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f != "__pycache__" and not f.startswith("."))
        for file in sorted(files):
            if not file.startswith("."):
                yield Path(name) / file


def _documents(paths: list[Path], folder: Path, empty: list[str]) -> Iterator[Record]:
    for path in track(paths, "reading files", len(paths)):
        source = path.relative_to(folder).as_posix()
        text = read_text(path)
        cutter = CUTTERS[path.suffix.lower()]
        lines = [0, *(match.end() for match in re.finditer("\n", text))]
        number = 0
        for piece in pieces(cutter(text, path.stem), text, is_verbatim=cutter is not cut_html):
            number += 1
            yield {
                "doc_id": f"{source}#{number}",
                "title": piece.title,
                "text": piece.text,
                "source": source,
                "parent_id": source,
                "start": piece.start,
                "end": piece.end,
                "line": bisect.bisect_right(lines, piece.start),
            }
        if not number:
            empty.append(source)


def _count(endings: Counter[str]) -> str:
    return ", ".join(f"{count} {ending}" for ending, count in endings.most_common(5))
