"""The page in a real headless browser: nothing fails, nothing is fetched, nothing sticks out."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from annatto.evaluate.report import write

PLACE = Path(__file__).parents[2] / "browser" / "browser.py"
SPEC = importlib.util.spec_from_file_location("browser", PLACE)
browser_file = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(browser_file)

pytestmark = pytest.mark.skipif(
    browser_file.found() is None, reason="no Chromium or Chrome on this machine"
)
EVIL = "<script>document.title='broken'</script><img src='https://example.org/x'>"
SIZES = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def path(evaluation, tmp_path_factory):
    texts = pa.array([EVIL, "second", "third", "fourth"], pa.large_string())
    place = tmp_path_factory.mktemp("page") / "r"
    asked = evaluation.queries.set_column(1, "text", texts)
    write(replace(evaluation, queries=asked), place, comparisons=[("new", "old")], title="A page")
    return place / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    one = browser_file.Browser(tmp_path_factory.mktemp("profile"))
    yield one
    one.close()


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_the_page_opens_without_an_error_or_a_request(browser, path, width, scheme):
    browser.open(path.as_uri(), width=width, scheme=scheme)
    asked = [one["request"]["url"] for one in browser.named("Network.requestWillBeSent")]
    assert asked == [path.as_uri()]
    assert not browser.named("Log.entryAdded")
    assert not browser.named("Runtime.exceptionThrown")
    assert not browser.named("Runtime.consoleAPICalled")
    assert browser.value("document.title") == "A page"
    assert browser.value("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_the_page_is_as_light_as_its_reader_wants(browser, path, scheme, is_dark):
    browser.open(path.as_uri(), width=390, scheme=scheme)
    colour = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, colour[4:-1].split(","))) < 64) is is_dark


def test_letters_can_be_read_on_a_phone(browser, path):
    browser.open(path.as_uri(), width=390, scheme="light")
    sizes = browser.value(
        "JSON.stringify([...document.querySelectorAll('svg text')].map("
        "t => t.getBoundingClientRect().height))"
    )
    assert min(size for size in json.loads(sizes) if size) >= 9


def test_pointing_at_a_dot_shows_its_query(browser, path):
    browser.open(path.as_uri(), width=1280, scheme="light")
    shown = browser.value(
        "(() => { const dot = [...document.querySelectorAll('.mark')].find("
        "m => m.textContent.includes('second'));"
        " dot.dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));"
        " return dot.closest('figure').querySelector('output').textContent; })()"
    )
    assert shown == "0.250 → 0.750\nsecond"


def test_a_script_in_a_query_is_shown_and_not_run(browser, path):
    browser.open(path.as_uri(), width=1280, scheme="light")
    assert browser.value("document.body.textContent").count("document.title='broken'") >= 1
    assert browser.value("document.querySelectorAll('img').length") == 0
    assert browser.value("document.title") == "A page"
