"""Copies of a saved model: other folders, other dtypes, servers."""

import contextlib
import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import torch

from annatto.core.errors import InputError, UsageError, WeightsError
from annatto.core.types import Prompt
from annatto.models.adapter import Adapter
from annatto.models.embedder import Embedder
from annatto.models.prompts import markup
from annatto.models.verify import ask, refuse, verify
from annatto.testing import tiny_model


@pytest.fixture
def model(tmp_path):
    folder = tiny_model(tmp_path / "tiny")
    return Embedder.load(folder, instruction="Find it.", max_tokens=96)


@pytest.fixture
def saved(model, tmp_path):
    return model.save(tmp_path / "saved")


@contextlib.contextmanager
def serving(answer):
    """The address of a server that gives `answer(body)` as JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = answer(self.path, body)
            self.send_response(200 if found is not None else 404)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *said):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def openai(model, prompt):
    def answer(path, body):
        if path != "/v1/embeddings" or body["model"] != "tiny":
            return None
        vectors = model.encode(body["input"], prompt=prompt)
        rows = [{"index": i, "embedding": v.tolist()} for i, v in enumerate(vectors)]
        return {"object": "list", "data": rows[::-1]}

    return answer


def test_a_saved_model_gives_its_own_probes_and_so_does_its_copy(saved, tmp_path):
    again = Embedder.load(saved).save(tmp_path / "again")
    for against in (None, again):
        checked = verify(saved, against=against)
        assert len(checked) == 12
        assert {one.prompt for one in checked} == {"document", "query"}
        assert all(one.is_right and one.limit == 1e-6 for one in checked)
        refuse(checked, "it")


def test_a_copy_with_another_query_prompt_is_told_by_its_queries_alone(model, saved, tmp_path):
    other = model.variant(prompts={"query": Prompt.plain()}).save(tmp_path / "other")
    checked = verify(saved, against=other)
    assert {one.prompt for one in checked if not one.is_right} == {"query"}
    with pytest.raises(WeightsError, match=r"other vectors for 6 of 12 .*query: 'a'; .*compare"):
        refuse(checked, "other")


def test_a_slightly_different_weight_is_told(model, saved, tmp_path):
    with torch.no_grad():
        model.model.norm.weight[3] *= 1.02
    assert not all(one.is_right for one in verify(saved, against=model.save(tmp_path / "other")))


def test_bfloat16_is_right_within_its_own_limit_only(saved):
    rough = verify(saved, dtype="bfloat16")
    assert {one.limit for one in rough} == {1e-3}
    assert max(one.distance for one in rough) > 1e-6
    with pytest.raises(UsageError, match="no dtype is called 'float16'"):
        verify(saved, dtype="float16")


def test_vectors_that_are_not_numbers_are_wrong(saved):
    def answer(path, body):
        return {"data": [{"index": i, "embedding": [0.0] * 32} for i in range(12)]}

    with serving(answer) as address:
        assert not any(one.is_right for one in verify(saved, against=address))


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/embeddings"])
def test_a_server_is_sent_the_text_with_its_prompt(model, saved, ending):
    with serving(openai(model, Prompt.plain())) as address:
        assert all(one.is_right for one in verify(saved, against=address + ending))
    with serving(openai(model, "query")) as address:
        assert not any(one.is_right for one in verify(saved, against=address))


def test_a_server_is_sent_what_a_prompt_puts_behind_the_text_too(model, tmp_path):
    uncut = replace(model, max_tokens=512).variant(prompts={"query": markup("Find it.")})
    folder = uncut.save(tmp_path / "saved")
    with serving(openai(uncut, Prompt.plain())) as address:
        assert all(one.is_right for one in verify(folder, against=address))


@pytest.mark.parametrize(
    "reply", [{"error": "x"}, {"data": []}, [], {"data": [{"index": 0, "embedding": ["x"]}]}]
)
def test_a_server_that_answers_otherwise_is_one_sentence(reply):
    with (
        serving(lambda *_: reply) as address,
        pytest.raises(InputError, match="must answer each of 1 texts as OpenAI's embeddings do"),
    ):
        ask(address, ["a"], name="tiny")


def test_a_server_that_refuses_or_is_not_there_is_one_sentence():
    with serving(lambda *_: None) as address:
        with pytest.raises(InputError, match=r"refuses .*is 'other' what it serves"):
            ask(address, ["a"], name="other")
        gone = address
    with pytest.raises(InputError, match=r"does not answer .*start the server first"):
        ask(gone, ["a"], name="tiny")


def test_another_dimension_and_a_folder_without_probes_are_one_sentence(saved, model):
    def answer(path, body):
        return {"data": [{"index": i, "embedding": [1.0, 2.0]} for i in range(12)]}

    with (
        serving(answer) as address,
        pytest.raises(WeightsError, match=r"12 vectors of 32 dimensions; found .*12, 2"),
    ):
        verify(saved, against=address)
    with pytest.raises(WeightsError, match=r"has no probe vectors in annatto\.json"):
        verify(model.source)


@pytest.mark.filterwarnings("ignore")
def test_a_folder_saved_in_bfloat16_says_so_and_every_loader_reads_it(model, tmp_path):
    from safetensors.torch import load_file
    from sentence_transformers import SentenceTransformer

    folder = model.save(tmp_path / "half", dtype="bfloat16")
    tensors = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    assert json.loads((folder / "annatto.json").read_text())["dtype"] == "bfloat16"
    checked = verify(folder)
    assert all(one.is_right and one.limit == 1e-3 for one in checked)
    assert max(one.distance for one in checked) < 1e-6
    theirs = SentenceTransformer(str(folder), device="cpu").encode_document(["some text"])
    ours = Embedder.load(folder, dtype="bfloat16").encode(["some text"])
    assert 1 - float(np.dot(theirs[0], ours[0])) / np.linalg.norm(theirs[0]) < 1e-3
    with pytest.raises(UsageError, match="no dtype is called 'int8'"):
        model.save(tmp_path / "x", dtype="int8")


@pytest.mark.filterwarnings("ignore")
def test_the_adapter_is_kept_beside_the_merged_weights(model, tmp_path):
    from peft import PeftModel
    from sentence_transformers import SentenceTransformer

    from annatto.train import lora

    untouched = model.encode(["a text"])
    base = model.reload("float32").model
    adapted = lora.attach(model.reload("float32").model, rank=2, alpha=4, seed=1)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    adapter = Adapter.of(adapted)
    merged = replace(model, model=lora.merge(adapted), adapter=adapter)
    folder = merged.save(tmp_path / "merged")
    again = PeftModel.from_pretrained(base, folder / "adapter")
    vectors = replace(model, model=again).encode(["a text"])
    assert np.abs(vectors - merged.encode(["a text"])).max() < 1e-5
    assert np.abs(vectors - untouched).max() > 1e-3
    said = (folder / "adapter" / "adapter_config.json").read_text()
    assert str(tmp_path) not in said
    assert json.loads(said)["r"] == 2
    theirs = SentenceTransformer(str(folder), device="cpu").encode_document(["a text"])
    assert np.abs(theirs - vectors).max() < 1e-5
    assert all(one.is_right for one in verify(folder))
