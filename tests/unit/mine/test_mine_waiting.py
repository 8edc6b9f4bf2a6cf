from annatto.core.store import content_hash
from annatto.core.tables import concat
from annatto.mine.changes import NOTHING, Change, Label, decisions
from annatto.mine.waiting import real_changes, waiting

MINED = Label(0.0, "mined:x")
CHANGES = [
    Change("q1", "d1", MINED, Label(1.0, "llm:j"), "positive", "better", {"snippet": '"was": ü'}),
    Change("q1", "d2", MINED, MINED, "negative", "silent", {"snippet": '{"was": "now"}'}),
    Change("q2", "d1", MINED, None, "rejected", "ambiguous", NOTHING),
]


def test_decisions_that_waited_are_those_that_came():
    parts = [decisions(part, "j") for part in (CHANGES[:2], [], CHANGES[2:])]
    with waiting() as wait:
        for part in parts:
            wait.add(part)
        found = wait.read()
    assert content_hash(found) == content_hash(concat(parts))
    with waiting() as wait:
        assert wait.read().num_rows == 0


def test_only_changes_that_changed_a_label_are_read_back():
    found = real_changes(decisions(CHANGES, "j"))
    assert [(one.doc_id, one.was, one.now) for one in found] == [
        (one.doc_id, one.was, one.now) for one in (CHANGES[0], CHANGES[2])
    ]
    assert real_changes(decisions([], "j")) == []
