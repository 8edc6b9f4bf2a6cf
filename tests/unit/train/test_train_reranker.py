"""Training a reranker on two-layer models; saved ones are scored by transformers alone."""

import dataclasses
import json
import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from annatto.core.errors import SchemaError, UsageError, WeightsError
from annatto.core.tables import DECISIONS, JUDGMENTS
from annatto.models.reranker import CrossEncoder
from annatto.testing import check_scorer, tiny_collection, tiny_model
from annatto.train import backbone, reranker_course
from annatto.train.reranker import train
from annatto.train.reranker_settings import RerankerSettings

SHORT = RerankerSettings(steps=4, batch_size=5, negatives=3, max_tokens=96, lr=3e-3)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "bert", kind="encoder")


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "llama")


def scores(folder, pairs):
    """Scores of (query, document) pairs as anybody would take them from the folder."""
    fast = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    given = [list(side) for side in zip(*pairs, strict=True)]
    if network.config.model_type == "llama":
        given = [[f"query: {query} document: {document}" for query, document in pairs]]
    with torch.no_grad():
        return network(**fast(*given, padding=True, return_tensors="pt")).logits[:, 0].numpy()


def ordered(folder, shifts=(1, 2, 3, 4, 5)):
    """Share of held-out queries' documents that score above those of other topics."""
    collection = tiny_collection()
    texts = next(collection.document_texts())
    queries = collection.queries["text"].to_pylist()
    cases = [(i, (i + shift) % 60) for i in range(20, 40) for shift in shifts]
    right = scores(folder, [(queries[i], texts[i]) for i, _ in cases])
    wrong = scores(folder, [(queries[i], texts[j]) for i, j in cases])
    return float(np.mean(right > wrong))


def weights(trained):
    return {name: t.numpy().copy() for name, t in trained.network.state_dict().items()}


def same(left, right):
    return all(np.array_equal(value, right[name]) for name, value in left.items())


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("encoder", {"steps": 120}),
        ("decoder", {"steps": 40}),
        ("decoder", {"steps": 40, "objective": "bce"}),
        ("decoder", {"steps": 50, "lora_rank": 8, "lr": 5e-3}),
    ],
    ids=["encoder", "decoder", "bce", "lora"],
)
def test_training_lowers_the_loss_and_orders_held_out_pairs(
    kind, change, mined, tmp_path, encoder, decoder
):
    settings = dataclasses.replace(SHORT, batch_size=10, negatives=4, **change)
    trained = train(mined, {"encoder": encoder, "decoder": decoder}[kind], settings=settings)
    losses = [row["loss"] for row in trained.card["notes"]["log"]]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    assert ordered(trained.save(tmp_path / "out")) > 0.75


@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_a_saved_folder_is_plain_transformers_with_probes_that_others_can_repeat(
    mined, tmp_path, encoder, decoder, kind, rank
):
    place = {"encoder": encoder, "decoder": decoder}[kind]
    settings = dataclasses.replace(SHORT, lora_rank=rank)
    train(mined, place, settings=settings).save(tmp_path / "out")
    said, card = (
        json.loads((tmp_path / "out" / name).read_text()) for name in ("annatto.json", "card.json")
    )
    shown = {"kind": "reranker", "format": 1, "name": "out", "max_tokens": 96}
    assert said.items() >= shown.items()
    assert said["template"] == (["", ""] if kind == "encoder" else ["query: ", " document: "])
    assert (card["kind"], card["weights_id"]) == ("reranker", said["weights_id"])
    tensors = load_file(tmp_path / "out/model.safetensors")
    assert {t.dtype for t in tensors.values()} == {torch.float32}
    assert not [name for name in tensors if "lora" in name or "modules_to_save" in name]
    short = [p for p in said["probes"] if len(p["query"] + p["document"]) < 76]  # not cut
    found = scores(tmp_path / "out", [(p["query"], p["document"]) for p in short])
    assert len(short) > 2
    assert found == pytest.approx([p["score"] for p in short], abs=1e-5)
    assert len({p["score"] for p in said["probes"]}) == len(said["probes"])


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_a_saved_reranker_scores_its_probes_as_a_teacher_would(
    mined, tmp_path, encoder, decoder, kind
):
    place = {"encoder": encoder, "decoder": decoder}[kind]
    trained = train(mined, place, settings=SHORT)
    trained.save(tmp_path / "out")
    probes = json.loads((tmp_path / "out/annatto.json").read_text())["probes"]
    scorer = CrossEncoder.load(tmp_path / "out")
    sides = [[probe[side] for probe in probes] for side in ("query", "document")]
    assert scorer.score(*sides) == pytest.approx([p["score"] for p in probes], abs=1e-5)
    assert 0 < scorer.over_limit(*sides) < len(probes)
    read = trained.pairs.queries(sides[0]), trained.pairs.documents(sides[1]).ids
    joined = [trained.pairs.join(*both) for both in zip(*read, strict=True)]
    assert scorer.tokenize(*sides).pairs == joined
    assert scorer.pairs.template == trained.pairs.template
    assert scorer.pairs.tokenizer.fast.pad_token_id not in joined[0].ids
    check_scorer(scorer)


def test_a_decoder_is_scored_by_the_template_that_its_folder_says(mined, tmp_path, decoder):
    train(mined, decoder, settings=dataclasses.replace(SHORT, steps=1)).save(tmp_path / "out")
    whole = CrossEncoder.load(tmp_path / "out")
    said = json.loads((tmp_path / "out/annatto.json").read_text())
    said["template"] = ["Q: ", " D: "]
    (tmp_path / "out/annatto.json").write_text(json.dumps(said))
    other = CrossEncoder.load(tmp_path / "out")
    text = other.pairs.tokenizer.fast.decode(other.tokenize(["how"], ["so"]).pairs[0].ids)
    assert text == "Q: how D: so<eos>"
    assert other.identity != whole.identity
    assert abs(other.score(["how"], ["so"]) - whole.score(["how"], ["so"])) > 1e-4


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(mined, tmp_path, encoder):
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        settings = dataclasses.replace(SHORT, seed=seed)
        train(mined, encoder, settings=settings).save(tmp_path / name)
    first, again, other = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "again", "other")
    )
    assert first == again
    assert first != other


def test_seeds_beyond_32_bits_are_taken(mined, encoder):
    long = dataclasses.replace(SHORT, steps=1, seed=1_700_000_000_000)
    assert len(train(mined, encoder, settings=long).card["notes"]["log"]) == 1


def test_a_batch_in_pieces_and_one_in_one_give_the_same_numbers(mined, decoder, monkeypatch):
    monkeypatch.setattr(reranker_course, "auto_dtype", lambda: "float32")
    whole = train(mined, decoder, settings=dataclasses.replace(SHORT, chunk_tokens=10**6))
    pieces = train(mined, decoder, settings=dataclasses.replace(SHORT, chunk_tokens=300))
    for left, right in zip(whole.card["notes"]["log"], pieces.card["notes"]["log"], strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-3)
        assert left["gradient"] == pytest.approx(right["gradient"], rel=1e-3)


def test_a_teacher_is_followed_where_it_has_all_the_weight(mined, decoder, tmp_path):
    settings = dataclasses.replace(
        SHORT, steps=40, batch_size=10, negatives=4, teacher="teacher:test", teacher_weight=20.0
    )
    train(mined, decoder, settings=settings).save(tmp_path / "taught")
    train(mined, decoder, settings=dataclasses.replace(settings, teacher="")).save(
        tmp_path / "plain"
    )
    assert ordered(tmp_path / "plain", shifts=[1]) > 0.7
    assert ordered(tmp_path / "taught", shifts=[1]) < 0.3


def test_frozen_weights_stay_and_the_head_is_trained_with_adapters(mined, decoder):
    trained = weights(train(mined, decoder, settings=dataclasses.replace(SHORT, lora_rank=4)))
    start = backbone.read(decoder, layers=0, max_tokens=96, seed=0).network.state_dict()
    changed = {name for name, t in start.items() if not np.array_equal(t.numpy(), trained[name])}
    assert "score.weight" in changed
    assert {name.split(".")[-2] for name in changed} >= {"q_proj", "down_proj"}
    assert not [name for name in changed if "norm" in name or "embed" in name]


def test_training_goes_on_from_a_reranker_with_its_head(mined, encoder, tmp_path):
    train(mined, encoder, settings=SHORT).save(tmp_path / "once")
    once = load_file(tmp_path / "once/model.safetensors")
    start = backbone.read(tmp_path / "once", layers=0, max_tokens=96, seed=5)
    assert torch.equal(start.network.classifier.weight, once["classifier.weight"])
    twice = train(mined, tmp_path / "once", settings=SHORT)
    said = json.loads((tmp_path / "once/card.json").read_text())
    assert twice.card["inputs"]["weights_id"] == said["weights_id"]


def test_layers_and_the_limit_of_a_pair_are_kept(mined, encoder, tmp_path):
    settings = dataclasses.replace(SHORT, layers=1, max_tokens=64, steps=1)
    trained = train(mined, encoder, settings=settings)
    trained.save(tmp_path / "out")
    assert json.loads((tmp_path / "out/config.json").read_text())["num_hidden_layers"] == 1
    assert json.loads((tmp_path / "out/annatto.json").read_text())["max_tokens"] == 64


def test_rejected_negatives_and_queries_without_any_are_left_out_and_counted(
    mined, encoder, caplog
):
    of_first = mined.judgments.filter(
        pc.and_(pc.equal(mined.judgments["query_id"], "q00"), pc.equal(mined.judgments["grade"], 0))
    )["doc_id"].to_pylist()
    rejected = DECISIONS.table(
        {
            "query_id": ["q00"] * len(of_first),
            "doc_id": of_first,
            "stage": ["later"] * len(of_first),
            "reason": ["too close"] * len(of_first),
            "before": ["negative"] * len(of_first),
            "after": ["rejected"] * len(of_first),
            "evidence": [""] * len(of_first),
        }
    )
    with caplog.at_level(logging.WARNING):
        trained = train(mined.with_decisions(rejected, "test"), encoder, settings=SHORT)
    assert trained.card["notes"]["examples"] == 19
    assert trained.card["notes"]["examples without negatives"] == 1
    assert "1 of 20 examples have no mined negative and are left out" in caplog.text


def test_pairs_whose_document_is_cut_are_counted(mined, encoder, caplog):
    fast = AutoTokenizer.from_pretrained(encoder)
    texts = dict(zip(mined.doc_ids.to_pylist(), next(mined.document_texts()), strict=True))
    asked = dict(zip(*mined.queries.select(["query_id", "text"]).to_pydict().values(), strict=True))
    judged = mined.judgments.filter(
        pc.is_in(mined.judgments["query_id"], mined.queries_of("train")["query_id"])
    )
    pairs = zip(judged["query_id"].to_pylist(), judged["doc_id"].to_pylist(), strict=True)
    long = [len(fast(asked[query], texts[document])["input_ids"]) > 54 for query, document in pairs]
    assert 0 < sum(long) < len(long)
    settings = dataclasses.replace(SHORT, max_tokens=54, steps=1)
    with caplog.at_level(logging.WARNING):
        trained = train(mined, encoder, settings=settings)
    assert trained.card["notes"]["pairs cut"] == sum(long)
    assert f"{sum(long)} of {len(long)} pairs are longer than 54 tokens" in caplog.text


def test_the_first_pairs_are_shown_decoded(mined, decoder, caplog):
    with caplog.at_level(logging.INFO):
        train(mined, decoder, settings=dataclasses.replace(SHORT, steps=1))
    shown = [line for line in caplog.text.splitlines() if line.startswith(("  + ", "  − "))]
    assert len(shown) == 2
    assert all(" document: " in line and line.endswith("<eos>'") for line in shown)


def test_a_collection_without_positives_or_without_negatives_is_refused(encoder):
    bare = dataclasses.replace(tiny_collection(), judgments=JUDGMENTS.empty())
    with pytest.raises(SchemaError, match="none has a positive"):
        train(bare, encoder, settings=SHORT)
    with pytest.raises(SchemaError, match=r"none of 20 training examples has one: run `annatto mi"):
        train(tiny_collection(), encoder, settings=SHORT)


def test_a_missing_or_infinite_teacher_score_is_refused(mined, encoder):
    settings = dataclasses.replace(SHORT, teacher="teacher:other")
    with pytest.raises(SchemaError, match=r"20 of 20 lack one \(first: query 'q00'\)"):
        train(mined, encoder, settings=settings)
    at = mined.candidates.column_names.index("score")
    column = pa.array([float("inf")] * mined.candidates.num_rows, pa.float32())
    endless = mined.with_candidates(mined.candidates.set_column(at, "score", column), "test")
    with pytest.raises(SchemaError, match="no finite number"):
        train(endless, encoder, settings=dataclasses.replace(SHORT, teacher="teacher:test"))


def test_a_query_that_leaves_no_room_for_a_document_is_named(mined, encoder):
    with pytest.raises(SchemaError, match=r"20 of 20 queries fill the 24 tokens alone \('q00', "):
        train(mined, encoder, settings=dataclasses.replace(SHORT, max_tokens=24))


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_a_backbone_without_a_token_to_pad_with_is_refused(mined, tmp_path, kind):
    place = tiny_model(tmp_path / kind, kind=kind)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (place / name).exists():
            said = json.loads((place / name).read_text())
            kept = {k: v for k, v in said.items() if k not in ("pad_token", "eos_token")}
            (place / name).write_text(json.dumps(kept))
    with pytest.raises(WeightsError, match="token to pad with"):
        train(mined, place, settings=SHORT)


def test_a_head_of_two_classes_is_refused(mined, encoder, tmp_path):
    network = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=2)
    network.save_pretrained(tmp_path / "two")
    AutoTokenizer.from_pretrained(encoder).save_pretrained(tmp_path / "two")
    with pytest.raises(WeightsError, match="as a network for SequenceClassification"):
        train(mined, tmp_path / "two", settings=SHORT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": "pairwise"}, "objective cannot be 'pairwise'"),
        ({"objective": "bce", "teacher": "teacher:test"}, "need objective = 'listwise'"),
        ({"negatives": 0}, "negatives ≥ 1"),
        ({"max_tokens": 4}, "max_tokens ≥ 16"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"schedule": "steps"}, "schedule cannot be 'steps'"),
    ],
)
def test_settings_that_make_no_sense_are_named(change, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(SHORT, **change)
