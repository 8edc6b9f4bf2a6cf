"""Served vectors are those of `encode`, whatever else is computed beside them."""

import asyncio
import random

import numpy as np
import pytest

from annatto.app.serve.cache import ENTRY, Cache, Entry
from annatto.app.serve.site import Source, open_site
from annatto.core.types import Prompt
from annatto.models import prefix
from annatto.models.embedder import Embedder
from annatto.models.prompts import instruct, markup
from annatto.testing import check_encoder, tiny_model

TEXTS = ["a", "", " leading space", "word " * 30, "é東京", "\n", "x" * 700, "which one?", "a"]


@pytest.fixture(params=["decoder", "encoder"])
def one_site(request, tmp_path):
    encoder = Embedder.load(
        tiny_model(tmp_path / "tiny", kind=request.param), instruction="Find the paragraph."
    )
    site = open_site([Source(encoder=encoder)])
    yield encoder, site
    site.close()


def test_vectors_are_those_of_encode_whatever_is_beside_them(one_site):
    encoder, site = one_site
    served = site.models["tiny"]
    draw = random.Random(0)
    prompts = [*(encoder.prompts[role] for role in ("document", "query")), instruct("Other.")]
    asked = [(draw.sample(TEXTS, draw.randint(1, 9)), draw.choice(prompts)) for _ in range(40)]

    async def all_at_once():
        return await asyncio.gather(*(served.vectors(*one) for one in asked))

    for (texts, prompt), found in zip(asked, asyncio.run(all_at_once()), strict=True):
        np.testing.assert_allclose(found.vectors, encoder.encode(texts, prompt=prompt), atol=1e-6)
        tokens = encoder.tokenize(texts, prompt=prompt)
        assert found.cut == tokens.cut.sum()
        assert found.tokens == sum(len(row) for row in tokens.ids)


def test_what_stands_behind_the_text_is_served_too(one_site):
    encoder, site = one_site
    prompt = markup("Find it.")
    found = site.models["tiny"].encode(TEXTS, prompt=prompt)
    np.testing.assert_allclose(found, encoder.encode(TEXTS, prompt=prompt), atol=1e-6)


def test_a_served_model_is_an_encoder_for_other_threads(one_site):
    _, site = one_site
    check_encoder(site.models["tiny"])


def test_the_beginning_of_a_prompt_is_computed_once(encoder, site_with, monkeypatch):
    seen = []
    remember = prefix._remember
    monkeypatch.setattr(prefix, "_remember", lambda *how: seen.append(how[1]) or remember(*how))
    prefix.obstacle(encoder.model), prefix.forget(encoder.model)
    served = site_with().models["tiny"]
    for text in ("one", " two", "\nthree", "4"):
        served.encode([text], prompt="query")
    assert len(seen) == 1
    assert len(seen[0]) > 50


def test_identical_texts_are_computed_once_and_kept(site_with):
    site = site_with()
    served = site.models["tiny"]
    first = served.encode(["a", "b", "a"])
    computed = site.metrics.text()
    assert b"annatto_computed_texts_total 2.0" in computed
    np.testing.assert_array_equal(served.encode(["b", "a"]), first[[1, 2]])
    assert site.metrics.text().count(b"annatto_computed_texts_total 2.0") == 1
    served.encode(["a"], prompt="query")
    assert b"annatto_computed_texts_total 3.0" in site.metrics.text()


def test_prompts_that_look_alike_are_kept_apart(site_with, encoder):
    served = site_with().models["tiny"]
    with_demo = Prompt("{text}", "", (("a", "b"),), "{query}{response}")
    alike = Prompt("ab{text}")
    for prompt in (with_demo, alike):
        np.testing.assert_allclose(
            served.encode(["x" * 600], prompt=prompt),
            encoder.encode(["x" * 600], prompt=prompt),
            atol=1e-6,
        )


def test_the_cache_keeps_the_latest_within_its_size():
    entry = Entry(np.zeros(10, np.float32), 1, False)
    cache = Cache(2 * (40 + ENTRY))
    cache.put(b"a", entry), cache.put(b"b", entry)
    assert cache.get(b"a")
    cache.put(b"c", entry)
    assert (cache.get(b"a"), cache.get(b"b"), cache.get(b"c")) == (entry, None, entry)
    assert len(cache) == 2
    assert Cache(0).put(b"a", entry) is None


def test_a_client_that_goes_takes_its_texts_along(site_with):
    site = site_with()
    served = site.models["tiny"]

    async def leave():
        tasks = [asyncio.create_task(served.vectors(["x" * i], Prompt.plain())) for i in range(99)]
        await asyncio.sleep(0)
        for task in tasks[1:]:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, *others = asyncio.run(leave())
    assert first.vectors.shape == (1, 32)
    assert all(isinstance(one, asyncio.CancelledError) for one in others)
    assert site.batcher.lanes["small"].tokens == 0
