"""Write pictures of the search page to docs/images: python docs/make_screenshots.py.

    annatto index docs --model minilm -o runs/docs-index
    python docs/make_screenshots.py "which negatives are rejected, and why?" runs/docs-index

Needs Chromium or Chrome. A second index, of another model, adds a picture of both side by side.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from annatto.app.serve import start
from annatto.app.serve.app import create
from annatto.app.serve.site import open_site

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from browser import Browser  # noqa: E402

PICTURES = {
    "search-light": (1280, 900, "light"),
    "search-dark": (1280, 900, "dark"),
    "search-light-phone": (390, 844, "light"),
    "search-dark-phone": (390, 844, "dark"),
}
MARKED = "document.querySelectorAll('mark').length >= document.querySelectorAll('.hit').length"


@contextmanager
def serving(folders: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The address of a server over these indexes, and their names."""
    listener = start.listen_at("127.0.0.1", 0)
    listener.listen()  # who comes before the server runs waits for it
    sources = [start.open_source(one, dtype="float32", dimensions="") for one in folders]
    site = open_site(sources)
    server = start.server_of(create(site), site)
    thread = threading.Thread(target=start.run, args=(server, listener))
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", list(site.indexes)
    server.should_exit = True
    thread.join()


def take(browser: Browser, url: str, size: tuple[int, int, str], place: Path) -> None:
    """Open a page, wait for its answer and the best sentences, and write the picture."""
    width, height, scheme = size
    browser.open(url, width=width, height=height, scheme=scheme)
    browser.until("document.querySelector('.hit')")
    browser.until(MARKED)
    browser.value("document.activeElement.blur()")
    place.write_bytes(browser.picture())


def main() -> None:
    """Read the command line and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question")
    parser.add_argument("indexes", nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--name", default="", help="Goes before the names of the files.")
    asked = parser.parse_args()
    with TemporaryDirectory() as profile, serving(asked.indexes) as (address, names):
        browser = Browser(profile)
        one = f"{address}/?{urlencode({'q': asked.question, 'scores': 1})}"
        for name, size in PICTURES.items():
            take(browser, one, size, asked.output / f"{asked.name}{name}.png")
        if len(names) > 1:
            both = f"{one}&{urlencode({'with': names[1], 'withmode': 'hybrid'})}"
            place = asked.output / f"{asked.name}search-compare.png"
            take(browser, both, PICTURES["search-light"], place)
        browser.close()


if __name__ == "__main__":
    main()
