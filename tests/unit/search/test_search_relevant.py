import numpy as np
import pytest

from annatto.index.folder import build, delete, open_index
from annatto.search.filter import Kept
from annatto.search.find import find
from annatto.search.relevant import relevant
from annatto.testing import tiny_collection, tiny_encoder


class Everything:
    """A cut-off that keeps what has a cosine, and shows it as the probability."""

    def check(self, encoder):
        """Any will do."""

    def keep(self, _, cosines):
        return Kept(np.isfinite(cosines), np.where(np.isfinite(cosines), cosines, 0))

    def reason(self, missing, all_):
        return f"{missing} of {all_} are missing"


@pytest.mark.parametrize("gone", [0, 1, "all"])
def test_a_hit_that_was_removed_since_the_search_takes_no_other_documents_cosine(tmp_path, gone):
    encoder, collection = tiny_encoder(), tiny_collection()
    build(collection, encoder, tmp_path / "index", weights={})
    index = open_index(tmp_path / "index")
    text = next(iter(collection.document_texts()))[0]
    hits = find(index, [text], encoder=encoder, mode="text", k=5)
    ids = hits["doc_id"].to_pylist()
    assert len(ids) > 2
    removed = ids if gone == "all" else ids[:gone]
    delete(index, removed)
    left, (reason,) = relevant(hits, [text], index=index, encoder=encoder, cutoff=Everything())
    assert left["doc_id"].to_pylist() == [one for one in ids if one not in removed]
    texts = hits["text"].to_pylist()
    titles = hits["title"].to_pylist()
    read = [f"{title} {body}".strip() for title, body in zip(titles, texts, strict=True)]
    right = encoder.encode(read) @ encoder.encode([text], prompt="query")[0]
    assert left["probability"].to_pylist() == pytest.approx(right[len(removed) :], abs=1e-6)
    assert bool(reason) == bool(removed)
