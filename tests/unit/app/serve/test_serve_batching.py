"""Who is computed with whom, and when; with work that does what the test says."""

import threading

import pytest

from annatto.app.serve.batching import SMALL, Batcher, Busy, Closed, Item, TooLarge


class Slow:
    """Work that stops at the first batch until it is let go, and remembers every batch."""

    def __init__(self, key="a", *, budget=100, is_packed=True, shared=None):
        self.key, self.budget, self.is_packed = key, budget, is_packed
        self.batches = [] if shared is None else shared.batches
        self.begun = threading.Event() if shared is None else shared.begun
        self.go = threading.Event() if shared is None else shared.go

    def run(self, payloads):
        self.batches.append(list(payloads))
        self.begun.set()
        self.go.wait()
        if "bad" in payloads:
            raise ValueError("bad")
        return [f"{payload}!" for payload in payloads]


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def batcher(slow):
    one = Batcher(10_000)
    one.submit([Item(slow, 1, "first")])
    slow.begun.wait()
    yield one
    slow.go.set()
    one.close()


def items(work, *tokens):
    return [Item(work, count, f"{count}.{i}") for i, count in enumerate(tokens)]


def finished(batcher, slow):
    slow.go.set()
    batcher.close()
    return slow.batches[1:]


def test_results_come_in_the_order_of_the_items(batcher, slow):
    future = batcher.submit(items(slow, 60, 60, 60))
    finished(batcher, slow)
    assert future.result() == ["60.0!", "60.1!", "60.2!"]


def test_small_requests_are_put_together_up_to_the_budget(batcher, slow):
    for name in "abcd":
        batcher.submit([Item(slow, 40, name)])
    assert finished(batcher, slow) == [["a", "b"], ["c", "d"]]


def test_padding_counts_and_like_lengths_go_together(batcher, slow):
    padded = Slow("b", is_packed=False, shared=slow)
    batcher.submit(items(padded, 10, 50, 12, 11))
    assert finished(batcher, slow) == [["10.0", "12.2", "11.3"], ["50.1"]]


def test_works_of_different_keys_never_share_a_batch(batcher, slow):
    other = Slow("b", shared=slow)
    batcher.submit([Item(slow, 1, "x"), Item(other, 1, "y"), Item(slow, 1, "z")])
    assert finished(batcher, slow) == [["x", "z"], ["y"]]


def test_a_small_request_overtakes_large_ones_and_neither_starves(batcher, slow):
    for number in range(4):
        batcher.submit([Item(slow, SMALL + 1, f"large{number}")])
    for number in range(12):
        batcher.submit([Item(slow, 90, f"small{number}")])
    order = [batch[0] for batch in finished(batcher, slow)]
    assert order[0] == "small0"
    assert order[1] == "large0"
    # after a large one of 513 tokens, small ones get as many before the next large one
    assert order.index("large1") - order.index("large0") in (6, 7)
    assert order[-2:] == ["large2", "large3"]


def test_a_full_queue_is_busy_and_says_when_to_come_again(batcher, slow):
    batcher.submit([Item(slow, 9_000, "large")])
    with pytest.raises(Busy) as told:
        batcher.submit([Item(slow, 1_001, "more")])
    assert 1 <= told.value.seconds <= 60
    assert batcher.submit([Item(slow, 600, "fits")])
    assert batcher.submit([Item(slow, 5, "small")]), "small requests have a lane of their own"


def test_small_requests_fill_their_own_lane(batcher, slow):
    for _ in range(1_250 // 500):
        batcher.submit([Item(slow, 500, "small")])
    with pytest.raises(Busy):
        batcher.submit([Item(slow, 500, "small")])


def test_what_could_never_fit_is_told_apart(batcher, slow):
    with pytest.raises(TooLarge, match="have 20000 tokens and a request may have 10000"):
        batcher.submit(items(slow, 10_000, 10_000))


def test_cancelled_requests_are_dropped_and_make_room(batcher, slow):
    gone = batcher.submit(items(slow, 5_000, 5_000))
    assert gone.cancel()
    assert batcher.lanes["large"].tokens == 0
    assert batcher.dropped == 2
    kept = batcher.submit(items(slow, 5_000, 5_000))
    assert finished(batcher, slow) == [["5000.0"], ["5000.1"]]
    assert kept.result()


def test_a_failed_batch_fails_its_requests_alone(batcher, slow):
    bad = batcher.submit([Item(slow, 90, "bad"), Item(slow, 90, "never")])
    good = batcher.submit([Item(slow, 90, "good")])
    assert finished(batcher, slow) == [["bad"], ["good"]]
    with pytest.raises(ValueError, match="bad"):
        bad.result()
    assert good.result() == ["good!"]


def test_after_a_failed_batch_it_is_not_ready_until_one_is_right(slow):
    slow.go.set()
    batcher = Batcher(1_000)
    with pytest.raises(ValueError, match="bad"):
        batcher.submit([Item(slow, 1, "bad")]).result()
    assert not batcher.is_ready
    batcher.submit([Item(slow, 1, "good")]).result()
    assert batcher.is_ready
    batcher.close()


def test_closing_finishes_what_waits_and_takes_no_more(batcher, slow):
    waiting = [batcher.submit([Item(slow, 90, str(i))]) for i in range(5)]
    finished(batcher, slow)
    assert [one.result() for one in waiting] == [[f"{i}!"] for i in range(5)]
    with pytest.raises(Closed):
        batcher.submit([Item(slow, 1, "late")])


def test_another_thread_can_wait_for_room(batcher, slow):
    batcher.submit([Item(slow, 10_000, "large")])
    found = []

    def late():
        found.append(batcher.submit([Item(slow, 9_000, "late")], waits=True).result())

    thread = threading.Thread(target=late)
    thread.start()
    slow.go.set()
    thread.join()
    assert found == [["late!"]]
