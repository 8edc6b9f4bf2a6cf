"""The page about what was mined."""

import json

import numpy as np
import pytest

from annatto.core.errors import InputError, SchemaError
from annatto.mine import report
from annatto.mine.calibrate import calibrate
from annatto.mine.margin import relative


@pytest.fixture
def mined(collection):
    own = {"p": 1.0, "p2": 0.9, "close": 0.89, "n1": 0.6, "n2": 0.4, "n3": 0.2}
    one = collection({"q": own}, {"q": ["p", "p2"]}, {f"r{i}": f"random {i}" for i in range(4)})
    return relative(one, source="t", k=2)


def test_the_page_counts_every_reason_and_shows_the_scores(mined, tmp_path):
    report.write(mined, tmp_path / "report", source="t", calibration=[calibrate(mined, source="t")])
    page = (tmp_path / "report" / "report.md").read_text()
    assert "2 hard negatives for 1 train queries, 2.0 each" in page
    assert "| kept: among the k hardest below the ceiling | 2 | 33.3% |" in page
    assert "| too close to the positive | 1 | 16.7% |" in page
    assert "| kept as negatives | 2 | 0.41 | 0.5 | 0.59 |" in page
    assert "| rejected | 1 | 0.89 | 0.89 | 0.89 |" in page
    assert "## Margins for t" in page
    assert (tmp_path / "report" / "scores.png").read_bytes()[:4] == b"\x89PNG"
    told = json.loads((tmp_path / "report" / "report.json").read_text())
    assert told["medians"] == {
        "positives": pytest.approx(0.95), "kept as negatives": pytest.approx(0.5),
        "rejected": pytest.approx(0.89),
    }  # fmt: skip
    assert told["calibration"][0]["queries"] == 1


def test_random_documents_are_counted_and_not_drawn(mined, collection, tmp_path):
    one = collection({"q": {"p": 1.0, "n": 0.1}}, {"q": ["p"]}, {"r": "random"})
    report.write(relative(one, source="t", k=2), tmp_path / "report", source="t")
    page = (tmp_path / "report" / "report.md").read_text()
    assert "| random fill | 1 |" in page
    assert "| kept as negatives | 1 |" in page
    assert "| rejected | 0 | – | – | – |" in page


def test_the_same_collection_gives_the_same_bytes(mined, tmp_path):
    for name in ("one", "two"):
        report.write(mined, tmp_path / name, source="t")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_scores_that_are_all_equal_can_be_drawn(tmp_path):
    same = dict.fromkeys(report.KINDS, np.full(3, 0.5))
    report.draw(same, tmp_path / "same.png", title="same")
    assert (tmp_path / "same.png").stat().st_size > 1000


def test_a_report_needs_decisions_and_writes_over_nothing_else(collection, mined, tmp_path):
    bare = collection({"q": {"p": 1.0}}, {"q": ["p"]})
    with pytest.raises(SchemaError, match=r"decisions of mine.margin about the split 'train'"):
        report.write(bare, tmp_path / "report", source="t")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").write_text("x")
    with pytest.raises(InputError, match="not an older report"):
        report.write(mined, tmp_path / "other", source="t")
