import json
from pathlib import Path
from typing import get_type_hints

import pytest
from transformers import AutoModelForSequenceClassification
from typer.testing import CliRunner

from annatto.app.cli import app
from annatto.core.store import open_collection, save
from annatto.core.tables import JUDGMENTS, concat
from annatto.evaluate.evaluation import Evaluation
from annatto.index.folder import build
from annatto.testing import tiny_collection, tiny_encoder, tiny_model
from annatto.train.examples import examples

RECIPE = '[[stage]]\nname = "begin"\nuse = "data.fake.begin"\nseed = 2\n'


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Give a command in an empty folder; its result has exit_code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, list(words))


def test_an_error_is_one_sentence_on_stderr_and_exit_code_1(call):
    done = call("search", "nowhere", "x")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("annatto: nowhere is not an index")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [["serch"], ["search"], ["search", "x", "y", "--tpo", "3"], ["run", "r", "--frobnicate"]],
)
def test_a_command_that_makes_no_sense_has_exit_code_2(call, words):
    assert call(*words).exit_code == 2


def test_a_recipe_that_makes_no_sense_has_exit_code_2(call, tmp_path):
    (tmp_path / "r.toml").write_text("[[stage]]\nname = 'a'\nuse = 'mine.pol.pool'\n")
    done = call("run", "r.toml")
    assert done.exit_code == 2
    assert "did you mean mine.pool" in done.stderr


def test_no_command_takes_a_seed_below_0():
    commands = {one.callback.__name__: one.callback for one in app.registered_commands}
    hints = {name: get_type_hints(one, include_extras=True) for name, one in commands.items()}
    least = {name: one["seed"].__metadata__[0].min for name, one in hints.items() if "seed" in one}
    assert {"load", "train", "evaluate", "judge", "limit", "sample"} < set(least)
    assert set(least.values()) == {0}


def test_the_version_is_shown(call):
    assert call("--version").stdout.strip() == "0.1.0"


def test_a_dry_run_shows_settings_and_writes_nothing(call, fake, tmp_path):
    (tmp_path / "r.toml").write_text(RECIPE)
    done = call("run", "r.toml", "--dry-run")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "[1/1] begin: run (new or changed)"
    assert "seed = 2, source = " in done.stdout
    assert not (tmp_path / "runs").exists()


def test_a_run_puts_places_on_stdout_and_progress_on_stderr(call, fake, tmp_path):
    (tmp_path / "r.toml").write_text(RECIPE)
    done = call("run", "r.toml", "-o", "out", "--json")
    assert json.loads(done.stdout) == {"begin": "out/begin"}
    assert "[1/1] begin: data.fake.begin" in done.stderr
    again = call("run", "r.toml", "-o", "out")
    assert again.stdout.strip() == "out/begin"
    assert "[1/1] begin: kept" in again.stderr
    rows = json.loads(call("run", "r.toml", "-o", "out", "--dry-run", "--json").stdout)
    assert rows[0]["skip"] is True
    assert rows[0]["settings"] == {"seed": 2, "source": ""}


def test_an_output_of_another_kind_is_never_replaced(call, tmp_path):
    save(tiny_collection(), tmp_path / "pairs")
    done = call("train", "pairs", "--model", "tiny", "-o", "pairs")
    assert done.exit_code == 1
    assert "pairs exists and holds a collection, not a model to replace" in done.stderr


def test_evaluate_wants_a_name_for_each_model(call, tmp_path):
    save(tiny_collection(), tmp_path / "pairs")
    done = call("evaluate", "pairs", "--model", "tiny", "-o", "eval")
    assert done.exit_code == 2
    assert "--model NAME=PLACE needs two names with = between them; found 'tiny'" in done.stderr


def test_weights_are_listed_for_machines(call):
    rows = json.loads(call("weights", "list", "--json").stdout)
    assert {"minilm", "smollm2"} <= {row["name"] for row in rows}


def test_ctrl_c_is_one_sentence_and_leaves_nothing_half_written(call, fake, tmp_path):
    stop = '[[stage]]\nname = "stop"\nuse = "data.fake.resume"\n'
    (tmp_path / "r.toml").write_text(RECIPE + stop)
    done = call("run", "r.toml", "-o", "out")
    assert done.exit_code == 130
    assert done.stderr.splitlines()[-1].startswith("annatto: stopped; nothing half-written was")
    assert "Traceback" not in done.stderr
    kept = {path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")}
    assert kept == {"begin", "card.json", "state", "timing.json", "work"}


def test_load_makes_pairs_of_plain_text_and_says_so(call, tmp_path):
    (tmp_path / "docs").mkdir()
    for number in range(12):
        words = " ".join(f"word{number}x{i}" for i in range(9))
        text = f"# Heading number {number}\n\n{words}. And {words} once more today."
        (tmp_path / "docs" / f"page{number}.md").write_text(text)
    done = call("load", "docs", "-o", "pairs", "--json")
    assert done.exit_code == 0, done.stderr
    assert "there are no queries: making pairs from the text itself (synthetic)" in done.stderr
    assert {"train", "dev", "test"} == set(json.loads(done.stdout)["queries"])
    bare = call("load", "docs", "-o", "bare", "--no-pairs")
    assert bare.stdout.strip() == "bare: 12 documents, queries: none"


def test_load_splits_a_table_and_takes_columns(call, tmp_path):
    rows = [{"q": f"what is number {i}", "body": f"it is w{i} of v{i} u{i}"} for i in range(30)]
    (tmp_path / "faq.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = call("load", "faq.jsonl", "-o", "faq", "--column", "query=q", "--column", "text=body")
    assert done.exit_code == 0, done.stderr
    assert "splitting them anew" in done.stderr
    assert done.stdout.startswith("faq: 30 documents, queries: ")
    assert call("load", "faq.jsonl", "-o", "faq", "--column", "q").exit_code == 2
    assert call("load", "faq.jsonl", "-o", "faq").exit_code == 2


def test_a_test_set_stays_one_where_splits_are_kept(call, tmp_path):
    (tmp_path / "beir" / "qrels").mkdir(parents=True)
    parts = {
        "corpus.jsonl": [{"_id": f"d{i}", "text": f"text number{i}"} for i in range(9)],
        "queries.jsonl": [{"_id": f"q{i}", "text": f"ask number{i}"} for i in range(9)],
    }
    for name, rows in parts.items():
        (tmp_path / "beir" / name).write_text("\n".join(map(json.dumps, rows)))
    judged = "".join(f"q{i}\td{i}\t1\n" for i in range(9))
    (tmp_path / "beir" / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    kept = call("load", "beir", "-o", "kept", "--keep-splits", "--json")
    assert json.loads(kept.stdout)["queries"] == {"test": 9}, kept.stderr
    anew = call("load", "beir", "-o", "anew", "--json")
    assert json.loads(anew.stdout)["queries"]["train"] > 0


def test_a_folder_of_one_small_file_is_all_for_training(call, tmp_path):
    (tmp_path / "docs").mkdir()
    paragraphs = [f"The {name} boat leaves its old harbour at noon. Be early." for name in "abc"]
    (tmp_path / "docs" / "a.md").write_text("\n\n".join(paragraphs))
    done = call("load", "docs", "-o", "pairs", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["queries"] == {"train": 1}
    assert done.stderr.splitlines()[-1] == (
        "too few files for held-out pairs: all 1 pairs are for training, nothing is left to "
        "measure on"
    )
    assert examples(open_collection(tmp_path / "pairs")).positive.tolist() == [0]


def test_queries_without_a_positive_are_refused_or_dropped(call, tmp_path):
    (tmp_path / "beir" / "qrels").mkdir(parents=True)
    rows = [{"_id": f"d{i}", "text": f"w{i} of v{i} u{i}"} for i in range(3)]
    (tmp_path / "beir" / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = [{"_id": f"q{i}", "text": f"ask {i}"} for i in range(3)]
    (tmp_path / "beir" / "queries.jsonl").write_text("\n".join(map(json.dumps, asked)))
    for split, line in (("train", "q0\td0\t1"), ("test", "q1\td1\t1\nq2\td2\t0")):
        text = f"query-id\tcorpus-id\tscore\n{line}\n"
        (tmp_path / "beir" / "qrels" / f"{split}.tsv").write_text(text)
    done = call("load", "beir", "-o", "pairs")
    assert done.exit_code == 1
    assert "1 of 3 queries have no positive (first: 'q2')" in done.stderr
    assert "load with --drop-unjudged (drop_unjudged=True)" in done.stderr
    done = call("load", "beir", "-o", "pairs", "--drop-unjudged", "--json")
    assert json.loads(done.stdout)["queries"] == {"train": 1, "test": 1}


def test_a_comparison_of_an_unknown_system_stops_before_anything_is_measured(
    call, tmp_path, monkeypatch
):
    save(tiny_collection(), tmp_path / "pairs")
    monkeypatch.setattr("annatto.app.measuring.open_collection", pytest.fail)
    words = ["evaluate", "pairs", "-m", "a=tiny", "-o", "eval", "--compare"]
    done = call(*words, "a=b")
    assert done.exit_code == 2
    assert "the comparison a=b names 'b', which is no system; Known: BM25, a." in done.stderr
    assert call(*words, "a=BM25", "--no-bm25").exit_code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--compare", "a=a"], "a=a compares a system with itself"),
        (["--compare", "a=BM25", "--compare", "a=BM25"], "a=BM25 is given twice"),
        (["--compare", "all", "--no-bm25"], "at least two systems; found 1"),
        (["--devices", "2"], "--prompt, --devices and --dry-run are for --benchmark"),
        (["--seed", "-1"], "Invalid value for '--seed'"),
    ],
)
def test_what_would_change_nothing_is_refused_before_anything_is_measured(
    call, tmp_path, monkeypatch, words, said
):
    monkeypatch.setattr("annatto.app.measuring.open_collection", pytest.fail)
    done = call("evaluate", "pairs", "-m", "a=tiny", "-o", "eval", *words)
    assert done.exit_code == 2, done.output
    assert said in done.stderr


def test_evaluate_measures_the_split_and_origins_that_are_named(call, tmp_path):
    made = tiny_collection()
    save(made, tmp_path / "pairs")
    for split, queries in (("test", 12), ("dev", 8)):
        words = ("evaluate", "pairs", "--split", split, "--origins", "human, gold", "-o", "eval")
        done = call(*words, "--seed", "7")
        assert done.exit_code == 0, done.stderr
        notes = Evaluation.load(tmp_path / "eval").notes
        assert (notes["split"], notes["sizes"]["queries"], notes["seed"]) == (split, queries, 7)
    assert call("evaluate", "pairs", "--origins", "human", "-o", "eval").exit_code == 1


def test_fetched_weights_are_named_for_people_and_machines(call, monkeypatch):
    monkeypatch.setattr("annatto.models.weights.get", lambda name: Path("/w") / name)
    assert call("weights", "get", "a", "b").stdout.split() == ["/w/a", "/w/b"]
    told = json.loads(call("weights", "get", "a", "--json").stdout)
    assert told == [{"name": "a", "folder": "/w/a"}]


def test_mine_without_a_model_uses_the_ranking_as_teacher(call, tmp_path):
    save(tiny_collection(), tmp_path / "pairs")
    done = call("mine", "pairs", "-o", "mined", "--negatives", "2", "--json")
    assert done.exit_code == 0, done.stderr
    sources = set(open_collection(tmp_path / "mined").candidates["source"].to_pylist())
    assert sources == {"bm25", "rrf", "teacher:rrf"}
    assert json.loads(done.stdout)["judgments"] == 40 + 2 * 20
    wrong = call("mine", "pairs", "-o", "mined", "--teacher", "minilm")
    assert (wrong.exit_code, "no model is called 'minilm'" in wrong.stderr) == (2, True)


def several_positives(step=6):
    """The tiny collection; each training query has the document `step` further on, too."""
    pairs = tiny_collection()
    more = JUDGMENTS.table(
        {
            "query_id": [f"q{i:02}" for i in range(20)],
            "doc_id": [f"d{i + step:02}" for i in range(20)],
            "grade": [1.0] * 20,
            "origin": ["gold"] * 20,
        }
    )
    return pairs.with_judgments(concat([pairs.judgments, more]), "test")


def test_mine_calibrates_prints_the_table_and_mines_by_the_rho_it_chose(call, tmp_path):
    save(several_positives(), tmp_path / "pairs")
    words = ("mine", "pairs", "-o", "mined", "--calibrate", "--target", "0.5")
    done = call(*words)
    assert done.exit_code == 0, done.stderr
    assert "negatives kept of 7" in done.stdout
    table = json.loads(call(*words, "--json").stdout)["calibration"][0]
    chosen = table["rho"]
    assert chosen == max(r["rho"] for r in table["rows"] if r["false_negatives"] <= 0.5)
    told = f"rho = {chosen:g} is the largest that lets at most 50% of the hidden positives through"
    assert told in done.stderr
    origins = set(open_collection(tmp_path / "mined").judgments["origin"].to_pylist())
    assert f"mined:relative(rho={chosen:g})" in origins
    assert "## Margins for teacher:rrf" in (tmp_path / "mined/report/report.md").read_text()


def test_mine_says_when_nothing_can_be_calibrated(call, tmp_path):
    save(tiny_collection(), tmp_path / "pairs")
    done = call("mine", "pairs", "-o", "mined", "--calibrate")
    assert (done.exit_code, "needs queries with several positives" in done.stderr) == (1, True)
    save(several_positives(step=1), tmp_path / "many")  # of another topic: BM25 finds none
    words = ("mine", "many", "-o", "mined", "--depth", "200", "--calibrate", "--target", "0")
    done = call(*words)
    assert (done.exit_code, "no rho lets at most 0%" in done.stderr) == (2, True)
    assert "| rho | false negatives |" in done.stderr
    assert not (tmp_path / "mined").exists()


def test_mine_takes_a_rho_or_a_target_to_choose_it_by(call, tmp_path, monkeypatch):
    monkeypatch.setattr("annatto.app.mining.open_collection", pytest.fail)
    done = call("mine", "pairs", "-o", "mined", "--calibrate", "--rho", "0.8")
    assert (done.exit_code, "--rho 0.8 says it; give one of the two" in done.stderr) == (2, True)
    done = call("mine", "pairs", "-o", "mined", "--target", "0.1")
    assert (done.exit_code, "--target 0.1 is for --calibrate" in done.stderr) == (2, True)


def test_mine_takes_a_reranker_as_teacher_and_asks_it_once(call, tmp_path):
    folder = tiny_model(tmp_path / "judge", kind="encoder")
    AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1).save_pretrained(folder)
    save(tiny_collection(), tmp_path / "pairs")
    words = ("mine", "pairs", "--reranker", "judge", "--depth", "4", "-o", "mined")
    assert call(*words).exit_code == 0
    mined = open_collection(tmp_path / "mined")
    sources = set(mined.candidates["source"].to_pylist())
    assert {"teacher:judge", "teacher:judge:probability"} < sources
    (kept,) = (tmp_path / "mined.work").glob("*.npy")
    stamp = kept.stat().st_mtime_ns
    assert call(*words, "--rho", "0.8").exit_code == 0
    assert [path.stat().st_mtime_ns for path in (tmp_path / "mined.work").iterdir()] == [stamp]
    two = call(*words, "--likelihood", "judge")
    assert (two.exit_code, "one teacher at a time" in two.stderr) == (2, True)


def test_mine_keeps_vectors_and_two_processes_find_what_one_finds(call, tmp_path, monkeypatch):
    monkeypatch.setattr("annatto.index.shards.BLOCK_ROWS", 16)
    tiny_model(tmp_path / "model", kind="encoder")
    save(tiny_collection(), tmp_path / "pairs")
    words = ("mine", "pairs", "--model", "model", "--depth", "5", "--negatives", "2")
    for name, more in (("one", ()), ("two", ("--processes", "2"))):
        done = call(*words, "-o", name, *more)
        assert done.exit_code == 0, done.stderr
    one, two = (sorted((tmp_path / name).glob("*.parquet")) for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "one.work").glob("*.npy")}
    monkeypatch.setattr("annatto.models.embedder.Embedder.embed", pytest.fail)
    assert len(stamps) >= 2
    assert call(*words, "-o", "one").exit_code == 0
    assert call(*words, "-o", "one", "--processes", "0").exit_code == 2


@pytest.fixture
def tiny_weights(monkeypatch, tmp_path_factory):
    """`tiny` made in a cache of its own."""
    monkeypatch.setenv("ANNATTO_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_show_prompt_prints_the_input_and_counts_its_tokens(call, tiny_weights):
    done = call("show-prompt", "tiny", "how", "--demo", "q=d", "--demo", "a b=x=y")
    assert done.exit_code == 0, done.stderr
    first, second = "Instruct: \nQuery: q\nResponse: d\n\n", "Query: a b\nResponse: x=y\n\n"
    assert done.stdout == f"{first}Instruct: \n{second}how<eos>\n"
    assert "of at most 512 tokens: prefix" in done.stderr
    told = json.loads(call("show-prompt", "tiny", "how", "--prompt", "document", "--json").stdout)
    assert (told["input"], told["prefix"], told["text"], told["special"]) == ("how<eos>", 0, 3, 1)
    wrong = call("show-prompt", "tiny", "how", "--prompt", "qery")
    assert (wrong.exit_code, "did you mean query" in wrong.stderr) == (2, True)
    assert "--demo QUERY=DOCUMENT needs two names" in call(
        "show-prompt", "tiny", "how", "--demo", "q"
    ).stderr  # fmt: skip


def test_train_evaluate_index_and_search_by_the_readmes_commands(call, tmp_path, tiny_weights):
    save(tiny_collection(), tmp_path / "pairs")
    done = call(
        "train", "pairs", "-m", "tiny", "--steps", "2", "--batch-size", "4", "-o", "trained",
        "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {"model": "trained"}
    assert not (tmp_path / "trained.work").exists()
    told = call(
        "evaluate", "pairs", "-m", "before=tiny", "-m", "after=trained",
        "--compare", "after=before", "-o", "eval", "--json",
    )  # fmt: skip
    assert told.exit_code == 0, told.stderr
    machine = json.loads(told.stdout)
    rows = machine["systems"]
    assert list(dict.fromkeys(row["system"] for row in rows)) == ["before", "after", "BM25"]
    assert all(row["low"] <= row["mean"] <= row["high"] for row in rows)
    assert [(one["after"], one["queries"]) for one in machine["comparisons"]] == [("after", 12)]
    assert "after and before: 12 queries show a true difference of" in told.stderr
    command = (
        "annatto evaluate pairs -m before=tiny -m after=trained --compare after=before -o eval"
    )
    assert f"- command: `{command} --json`" in (tmp_path / "eval/report/report.md").read_text()
    made = call("index", "pairs", "-m", "trained", "-o", "index", "--json")
    assert json.loads(made.stdout)["index"] == "index"
    found = call("search", "index", "what about rare3", "-k", "2")
    assert found.exit_code == 0, found.stderr
    assert found.stdout.splitlines()[0].startswith(" 1  ")
    (tmp_path / "trained").rename(tmp_path / "moved")
    assert call("search", "index", "rare3").exit_code == 1
    assert call("search", "index", "rare3", "--model", "moved").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "pairs", "-m", "a=tiny", "-m", "a=minilm"], "--model NAME=PLACE: 'a' is"),
        (["load", "x.csv", "--column", "text=a", "--column", "text=q"], "--column OURS=THEIRS: 't"),
    ],
)
def test_a_name_given_twice_is_refused(call, words, message):
    done = call(*words, "-o", "out")
    assert done.exit_code == 2
    assert message in done.stderr
    assert "given twice" in done.stderr


def test_mine_refuses_a_senseless_rho_before_anything_is_read(call):
    done = call("mine", "nowhere", "--rho", "2", "-o", "mined")
    assert done.exit_code == 2
    assert "needs rho above 0 and at most 1; found 2.0" in done.stderr


def test_a_place_below_a_file_is_one_sentence(call, tmp_path):
    save(tiny_collection(), tmp_path / "pairs")
    (tmp_path / "file").write_text("x")
    done = call("train", "pairs", "-m", "tiny", "-o", "file/model")
    assert done.exit_code == 1
    assert "annatto: cannot write file/model.work: " in done.stderr
    assert "choose another place with -o" in done.stderr


@pytest.mark.parametrize("recipe", ["nowhere", "broken.toml"])
def test_a_recipe_that_is_missing_or_no_toml_has_exit_code_2(call, tmp_path, recipe):
    (tmp_path / "broken.toml").write_text("[[stage]")
    assert call("run", recipe).exit_code == 2


def test_an_index_that_names_no_model_asks_for_one(call, tmp_path):
    build(tiny_collection(), tiny_encoder(), tmp_path / "index", weights={})
    done = call("search", "index", "rare3")
    assert done.exit_code == 1
    assert "index does not say which model it was built with; name it: --model" in done.stderr


def test_columns_are_asked_for_by_their_option(call, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert "--column text=body --column title=headline" in call("load", "t.csv", "-o", "x").stderr
    done = call("load", "t.csv", "-o", "x", "--column", "text=c")
    assert "--column text=THEIRS" in done.stderr


def test_verify_tells_a_right_copy_from_a_wrong_one(call, tmp_path):
    from annatto.core.types import Prompt
    from annatto.models.embedder import Embedder
    from annatto.testing import tiny_model

    model = Embedder.load(tiny_model(tmp_path / "tiny"), instruction="Find it.", max_tokens=96)
    model.save(tmp_path / "saved")
    model.variant(prompts={"query": Prompt.plain()}).save(tmp_path / "other")
    right = call("verify", "saved")
    assert right.exit_code == 0
    assert "The glacier has lost" in right.stdout
    wrong = call("verify", "saved", "--against", "other", "--json")
    assert wrong.exit_code == 1
    rows = json.loads(wrong.stdout)
    assert {row["prompt"] for row in rows if not row["is_right"]} == {"query"}
    assert "other gives other vectors for 6 of 12 probe texts" in wrong.stderr


def test_all_systems_are_compared_with_each_other_when_asked(call, tmp_path, tiny_weights):
    save(tiny_collection(), tmp_path / "pairs")
    done = call("evaluate", "pairs", "-m", "a=tiny", "-m", "b=tiny", "--compare", "all", "-o", "e")
    assert done.exit_code == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if " against " in line]
    assert [line.split(":")[0] for line in told] == [
        "b against a",
        "BM25 against a",
        "BM25 against b",
    ]
    assert told[0].endswith(
        "nDCG@10 +0.000 [+0.000, +0.000], no clear difference (corrected p 1.0000; 0 wins, "
        "12 ties, 0 losses)"
    )
    assert (tmp_path / "e" / "report" / "queries.tsv").exists()
