"""The search page as people use it: a real browser, a real server, a tiny index."""

import json
import subprocess

import pytest

WIDE, PHONE = 1280, 390
CONTRASTS = """JSON.stringify((() => {
  const light = (channel) => channel <= 10.31 ? channel / 3294.6
    : ((channel / 255 + 0.055) / 1.055) ** 2.4;
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const bright = (colour) => { const [r, g, b] = parts(colour).map(light);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const paper = (element) => { for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if ((parts(colour)[3] ?? 1) === 1) return colour; }
    return 'rgb(255, 255, 255)'; };
  const says = (element) => [...element.childNodes].some(
    (node) => node.nodeType === 3 && node.data.trim());
  return [...document.querySelectorAll('body *')].filter(
    (one) => says(one) && one.checkVisibility()).map((one) => {
      const [a, b] = [bright(getComputedStyle(one).color), bright(paper(one))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.outerHTML.slice(0, 80)]; });
})())"""
UNLABELLED = """[...document.querySelectorAll('input, select, button')].filter((one) =>
  !one.textContent.trim() && !one.ariaLabel && ![...one.labels].some(
    (label) => label.textContent.trim())).map((one) => one.outerHTML).join('\\n')"""
TITLES = "JSON.stringify([...document.querySelectorAll('.title')].map((one) => one.textContent))"
FOCUSED = "document.activeElement.id || document.activeElement.textContent"


@pytest.fixture
def page(browser, address):
    """Open an address of the page and wait for its answer."""

    def show(words="", *, width=WIDE, scheme="light"):
        browser.open(f"{address}/{words}", width=width, scheme=scheme)
        browser.until("document.querySelector('#about').textContent")
        if "q=" in words:
            settled(browser)
        return browser

    return show


def settled(browser):
    browser.until("document.querySelector('#sides').ariaBusy === 'false'")


def ask(browser, question):
    browser.value("document.querySelector('#question').value = ''")
    browser.value("document.querySelector('#question').focus()")
    browser.type(question)
    browser.press("Enter")
    browser.until(f"document.title === {json.dumps(question + ' – Search')}")
    settled(browser)


def titles(browser):
    return json.loads(browser.value(TITLES))


def choose(browser, selector, value):
    """Choose as a user would: the page is told of the change."""
    browser.value(
        f"(() => {{ const one = document.querySelector({json.dumps(selector)});"
        f" if (one.type === 'radio' || one.type === 'checkbox') one.click();"
        f" else {{ one.value = {json.dumps(value)};"
        " one.dispatchEvent(new Event('change', {bubbles: true})); } })()"
    )


def test_a_question_that_is_typed_is_answered_with_its_best_sentence_marked(page):
    browser = page()
    assert browser.value(FOCUSED) == "question"
    choose(browser, "input[value=text]", None)
    ask(browser, "zebra grass")
    assert titles(browser) == ["Stripes"]
    assert browser.value("document.querySelector('.rank').textContent") == "1."
    assert browser.value("document.querySelector('.place').textContent") == (
        "https://example.org/zebra"
    )
    browser.until("document.querySelector('mark')")
    marked = browser.value("document.querySelector('mark').textContent")
    assert marked == "A zebra eats grass all day."
    passage = browser.value("document.querySelector('.passage').textContent")
    assert passage.startswith("… ")
    assert passage.endswith("A zebra eats grass all day. Then night falls.")
    assert browser.value("document.querySelector('.meta').textContent") == "sectionodd"
    assert browser.value("document.querySelector('#status').textContent").startswith("1 document ")


def test_by_meaning_every_passage_has_a_marked_sentence_and_its_place(page):
    browser = page("?q=a+common+number")
    assert len(titles(browser)) == 10
    browser.until("document.querySelectorAll('mark').length === 10")
    places = browser.value("document.querySelector('#sides').textContent")
    assert "guide.md:1" in places


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize(
    "words", ["?q=evil+quokka&scores=1", "?q=common&with=second", "?q=x&mode=text"]
)
def test_nothing_fails_is_fetched_elsewhere_or_sticks_out(page, address, words, width, scheme):
    browser = page(words, width=width, scheme=scheme)
    if "mode=text" not in words:
        browser.until("document.querySelector('mark')")
    asked = [one["request"]["url"] for one in browser.named("Network.requestWillBeSent")]
    assert len(asked) >= 8
    assert not [url for url in asked if not url.startswith(address)]
    for kind in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
        assert not browser.named(kind), browser.named(kind)
    assert browser.value("document.documentElement.scrollWidth") <= width
    browser.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert browser.value("document.documentElement.scrollWidth") <= width
    worst, where = min(json.loads(browser.value(CONTRASTS)))
    assert worst >= 4.5, where
    assert browser.value(UNLABELLED) == ""


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_the_page_is_as_light_as_its_reader_wants(page, scheme, is_dark):
    browser = page(scheme=scheme)
    colour = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, colour[4:-1].split(","))) < 64) is is_dark


def test_what_looks_like_a_page_in_a_document_is_shown_and_not_run(page):
    browser = page("?q=quokka&mode=text")
    browser.until("document.querySelector('mark')")
    assert titles(browser) == [
        "<script>document.title='broken'</script><img src='https://example.org/x'>"
    ]
    assert browser.value("document.querySelectorAll('#sides img, #sides script').length") == 0
    assert browser.value("document.title") == "quokka – Search"


def test_a_script_in_the_page_itself_would_not_run(page):
    browser = page()
    browser.value(
        "(() => { const one = document.createElement('script');"
        " try { one.textContent = 'document.title = 1'; } catch { return; }"
        " document.body.append(one); })()"
    )
    assert browser.value("document.title") == "Search"
    refused = "try { document.body.innerHTML = '<b>x</b>'; false } catch { true }"
    assert browser.value(refused) is True


def test_the_keyboard_goes_through_the_results_opens_one_and_clears(page):
    browser = page("?q=common")
    found = titles(browser)
    browser.value("document.activeElement.blur()")
    browser.press("/")
    assert browser.value(FOCUSED) == "question"
    assert browser.value("document.querySelector('#question').value") == "common"
    browser.press("ArrowDown", "ArrowDown")
    assert browser.value(FOCUSED) == found[1]
    browser.press("ArrowUp")
    assert browser.value(FOCUSED) == found[0]
    browser.press("Enter")
    assert browser.value("document.activeElement.ariaExpanded") == "true"
    assert browser.value("document.querySelector('.legs').checkVisibility()") is True
    browser.press("Enter")
    assert browser.value("document.activeElement.ariaExpanded") == "false"
    assert browser.value("document.querySelector('.legs').checkVisibility()") is False
    browser.press("ArrowUp")
    assert browser.value(FOCUSED) == "question"
    browser.press("ArrowDown", "Escape")
    assert browser.value(FOCUSED) == "question"
    browser.until("document.querySelectorAll('.hit').length === 0")
    assert browser.value("document.querySelector('#question').value") == ""
    assert browser.value("location.search") == ""


def test_an_open_result_shows_all_its_text(page):
    browser = page("?q=zebra+grass&mode=text")
    browser.press("ArrowDown", "Enter")
    browser.until("document.querySelector('mark')")
    passage = browser.value("document.querySelector('.passage').textContent")
    assert passage.startswith("🦓🦓 Stripes hide well")
    assert passage.count("Nobody knows why") == 12


def test_scores_of_each_leg_are_shown_on_demand(page):
    browser = page("?q=zebra")
    assert browser.value("document.querySelector('.legs').checkVisibility()") is False
    choose(browser, "#scores", None)
    assert browser.value("document.querySelector('.legs').checkVisibility()") is True
    zebra = "document.querySelector('[data-id=zebra] .legs').textContent"
    legs = [part.partition(":")[0].split()[0] for part in browser.value(zebra).split(" · ")]
    assert legs == ["score", "meaning", "words"]
    assert "words: rank 1," in browser.value(zebra)
    assert "scores=1" in browser.value("location.search")


def test_filters_are_those_of_the_columns_and_narrow_the_results(page):
    browser = page("?q=common&k=20")
    assert len(titles(browser)) == 14
    names = "[...document.querySelectorAll('#fields > *')].map((o) => o.firstChild.textContent)"
    assert json.loads(browser.value(f"JSON.stringify({names})")) == [
        *("source", "section", "year, from and to", "draft")
    ]
    browser.value("document.querySelector('#filters').open = true")
    choose(browser, "[aria-label='year, at least']", "2003")
    settled(browser)
    choose(browser, "[aria-label='year, at most']", "2006")
    browser.until("document.querySelectorAll('.hit').length === 4")
    options = "[...document.querySelectorAll('#fields select')].map((o) => o.options.length)"
    assert json.loads(browser.value(f"JSON.stringify({options})")) == [3, 4, 3]
    odd = "[...document.querySelectorAll('#fields select')][1]"
    browser.value(
        f"(() => {{ const one = {odd};"
        " one.value = [...one.options].find((o) => o.text === 'odd').value;"
        " one.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )
    browser.until("document.querySelectorAll('.hit').length === 2")
    assert sorted(titles(browser)) == ["Common 3", "Common 5"]
    assert browser.value("document.querySelector('#filter-count').textContent") == " (2)"
    again = page(browser.value("location.search"))
    assert sorted(titles(again)) == ["Common 3", "Common 5"]
    browser.value("document.querySelector('#unfilter').click()")
    browser.until("document.querySelectorAll('.hit').length === 10")


def test_what_is_not_found_has_a_reason_and_a_way_out(page):
    browser = page("?q=unheard&mode=text")
    said = "document.querySelector('.said').textContent"
    assert browser.value(said).startswith(
        "Nothing found, because no document holds any of these words."
    )
    browser.value("document.querySelector('.said button').click()")
    browser.until("document.querySelectorAll('.hit').length === 10")
    assert "mode=dense" in browser.value("location.search")
    browser = page('?q=common&where={"year":{">=":3000}}')
    assert "does not pass the filters" in browser.value(said)
    browser.value("document.querySelector('.said button').click()")
    browser.until("document.querySelectorAll('.hit').length === 10")
    assert "where" not in browser.value("location.search")


def test_the_servers_refusal_is_shown(page):
    browser = page('?q=common&where={"colour":"red"}')
    browser.until("document.querySelector('.said')")
    assert "no column 'colour'" in browser.value("document.querySelector('.said').textContent")
    told = "The address asks for conditions that cannot be shown: colour."
    browser.until(f"document.querySelector('#status').textContent === {json.dumps(told)}")


def test_two_indexes_are_compared_side_by_side(page):
    browser = page("?q=common+number7")
    choose(browser, "#compare", None)
    browser.until("document.querySelectorAll('.side').length === 2")
    heads = "[...document.querySelectorAll('.side h2')].map((one) => one.textContent)"
    assert json.loads(browser.value(f"JSON.stringify({heads})")) == [
        "first, by meaning and words",
        "second, by meaning and words",
    ]
    tops = "[...document.querySelectorAll('.side')].map((one) => one.getBoundingClientRect().top)"
    left, right = json.loads(browser.value(f"JSON.stringify({tops})"))
    assert left == right
    sides = json.loads(
        browser.value(
            "JSON.stringify([...document.querySelectorAll('.side')].map((side) =>"
            " Object.fromEntries([...side.querySelectorAll('.hit')].map((hit, i) =>"
            " [hit.dataset.id, [i + 1, hit.querySelector('.beside').textContent]]))))"
        )
    )
    for own, other in (sides, sides[::-1]):
        for doc_id, (_, said) in own.items():
            there = other.get(doc_id)
            right = f"rank {there[0]} on the other side" if there else "only on this side"
            assert said == right
    browser.press("/", "ArrowDown", "ArrowDown", "ArrowRight")
    side = (
        "[...document.querySelectorAll('.side')].findIndex("
        "(one) => one.contains(document.activeElement))"
    )
    assert browser.value(side) == 1
    browser.press("ArrowLeft")
    assert browser.value(side) == 0
    assert "with=second" in browser.value("location.search")
    choose(browser, "#compare", None)
    browser.until("document.querySelectorAll('.side').length === 1")


def test_on_a_phone_the_sides_are_one_below_the_other(page):
    browser = page("?q=common&with=second", width=PHONE)
    tops = "[...document.querySelectorAll('.side')].map((one) => one.getBoundingClientRect().top)"
    upper, lower = json.loads(browser.value(f"JSON.stringify({tops})"))
    assert lower > upper + 100


def test_the_copied_command_gives_what_the_page_shows(page):
    browser = page('?q=it\'s+a+common+$HOME&mode=text&where={"section":"even"}&k=4')
    browser.allow("clipboardReadWrite", "clipboardSanitizedWrite")
    browser.value("document.querySelector('.copy').click()")
    browser.until("document.querySelector('#status').textContent.includes('clipboard')")
    command = browser.value("navigator.clipboard.readText()")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = [hit["title"] for hit in json.loads(done.stdout)["hits"]]
    assert len(found) == 4
    assert found == titles(browser)


def test_a_command_that_cannot_be_copied_is_shown(page):
    browser = page("?q=common")
    browser.value("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    browser.value("document.querySelector('.copy').click()")
    browser.until("document.querySelector('pre.curl')")
    shown = browser.value("document.querySelector('pre.curl').textContent")
    assert shown.startswith("curl -sS 'http://127.0.0.1:")


def test_the_address_holds_the_state_and_back_goes_back(page):
    browser = page("?q=common&mode=text&group=parent")
    assert browser.value("document.querySelector('input[name=mode]:checked').value") == "text"
    assert browser.value("document.querySelector('#group').checked") is True
    ask(browser, "zebra")
    assert browser.value("location.search") == "?q=zebra&mode=text&group=parent"
    browser.value("history.back()")
    browser.until("document.querySelectorAll('.hit').length === 10")
    assert browser.value("document.querySelector('#question').value") == "common"


def test_more_are_shown_when_asked_and_the_first_new_one_has_the_focus(page):
    browser = page("?q=common")
    browser.value("document.querySelector('.more').click()")
    browser.until("document.querySelectorAll('.hit').length === 14")
    browser.until("document.activeElement.className === 'title'")
    assert browser.value(FOCUSED) == titles(browser)[10]
    assert browser.value("document.querySelector('.more')") is None


def test_a_server_with_a_key_shows_the_page_and_asks_for_it(browser, locked):
    browser.open(f"{locked}/?q=common", width=WIDE, scheme="light")
    browser.until("document.querySelector('#key').checkVisibility()")
    browser.value("document.querySelector('#secret').focus()")
    browser.type("wrong")
    browser.press("Enter")
    browser.until("document.querySelector('#status').textContent.includes('API key')")
    assert browser.value("document.querySelectorAll('.hit').length") == 0
    browser.value("document.querySelector('#secret').value = 'open-sesame'")
    browser.press("Enter")
    browser.until("document.querySelectorAll('.hit').length === 10")
    assert browser.value("document.querySelector('#key').checkVisibility()") is False
    browser.value("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    browser.value("document.querySelector('.copy').click()")
    browser.until("document.querySelector('pre.curl')")
    shown = browser.value("document.querySelector('pre.curl').textContent")
    assert "open-sesame" not in shown
    assert '"Authorization: Bearer $ANNATTO_API_KEY"' in shown
