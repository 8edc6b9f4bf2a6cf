import io
import logging
import sys

import pytest

from annatto.app.console import listen, say_totals
from annatto.core.progress import CUT

logger = logging.getLogger("annatto.models.made_up")


@pytest.fixture
def told(monkeypatch):
    """What was told on stderr since `listen`; puts the logger back at the end."""
    top = logging.getLogger("annatto")
    level, handlers, propagate = top.level, list(top.handlers), top.propagate
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    listen()
    yield lambda: stderr.getvalue().splitlines()
    top.setLevel(level)
    top.handlers, top.propagate = handlers, propagate


def test_a_warning_is_shown_once_for_each_model(told):
    for count in (3, 4):
        for model in ("minilm", "smollm2"):
            logger.warning(CUT, model, count, 9, 256)
    assert told() == [
        "minilm: 3 of 9 texts are longer than 256 tokens; their ends were cut off",
        "smollm2: 3 of 9 texts are longer than 256 tokens; their ends were cut off",
    ]


def test_other_levels_are_always_shown(told):
    for _ in range(2):
        logger.info("step %d", 1)
        logger.error("no: %s", "a")
        logger.warning("careful")
    assert told() == ["step 1", "no: a", "careful", "step 1", "no: a"]


def test_listening_again_begins_anew(told, monkeypatch):
    logger.warning("careful")
    again = io.StringIO()
    monkeypatch.setattr(sys, "stderr", again)
    listen()
    logger.warning("careful")
    assert told() == again.getvalue().splitlines() == ["careful"]


def test_texts_cut_in_several_batches_are_added_up(told):
    for cut, texts in ((1, 8192), (1000, 1000)):
        logger.warning(CUT, "minilm", cut, texts, 256)
    logger.warning(CUT, "other", 3, 5, 256)
    say_totals()
    assert told()[2:] == ["minilm: in all, 1,001 of 9,192 readings of a text lost their ends"]
