import numpy as np

from annatto.ops.shingles import shingles_of, shingles_of_each, word_ids


def test_shingles_of_many_texts_are_those_of_each():
    rng = np.random.default_rng(0)
    lengths = [0, 1, 2, 3, 4, 60, 2, 0, 5, 300, 3]
    words = [rng.choice(list("abcdefgh"), count).tolist() for count in lengths]
    memory = {}
    ids = [word_ids(own, memory) for own in words]
    for texts in (ids, ids[:3], [], ids[5:6]):
        found = shingles_of_each(texts)
        assert len(found) == len(texts)
        for one, own in zip(found, texts, strict=True):
            assert one.dtype == np.uint32
            assert one.tolist() == shingles_of(own).tolist()
