import ast
import re
from collections import defaultdict

import pytest

from annatto.core.errors import InputError
from annatto.core.sentences import one_line
from annatto.data import stdlib as module
from annatto.data.cut_python import line_starts


@pytest.fixture(scope="session")
def library():
    return module.stdlib()


def test_the_standard_library_gives_thousands_of_pairs(library):
    assert library.judgments.num_rows > 3000
    ids = set(library.doc_ids.to_pylist())
    assert "json.decoder.JSONDecoder.decode" in ids
    assert not [name for name in ids if name.startswith(("test.", "idlelib."))]
    assert library.card["stage"] == "data.stdlib"


def test_ids_are_unique_and_every_judgment_points_to_a_query_and_a_document(library):
    query_ids, doc_ids = library.queries["query_id"].to_pylist(), library.doc_ids.to_pylist()
    assert len(set(query_ids)) == len(query_ids)
    assert len(set(doc_ids)) == len(doc_ids)
    assert set(library.judgments["doc_id"].to_pylist()) <= set(doc_ids)
    assert set(library.judgments["query_id"].to_pylist()) == set(query_ids)


def test_no_document_holds_its_query(library):
    texts = dict(
        zip(*library.corpus.to_table(["doc_id", "text"]).to_pydict().values(), strict=True)
    )
    queries = dict(zip(*library.queries.select([0, 1]).to_pydict().values(), strict=True))
    for row in library.judgments.to_pylist():
        query = queries[row["query_id"]]
        assert len(query.split()) >= 3
        assert query.casefold() not in one_line(texts[row["doc_id"]]).casefold()


def test_no_module_is_in_two_splits(library):
    table = library.corpus.to_table(["doc_id", "module"])
    home = dict(zip(*table.to_pydict().values(), strict=True))
    split = dict(
        zip(*library.queries.select(["query_id", "split"]).to_pydict().values(), strict=True)
    )
    found = defaultdict(set)
    for row in library.judgments.to_pylist():
        found[home[row["doc_id"]]].add(split[row["query_id"]])
    assert all(len(splits) == 1 for splits in found.values())
    names = list(split.values())
    assert names.count("test") / len(names) == pytest.approx(0.2, abs=0.02)
    assert names.count("dev") / len(names) == pytest.approx(0.1, abs=0.02)


CASES = {
    'def f(a):\n    "Say é."\n    # why\n    return a\n': "def f(a):\n    # why\n    return a",
    'def f(a): "Say é."; return a\n': "def f(a): return a",
    'class C:\n    @p\n    def f(a):\n        "Say."\n\n        return a\n': (
        "@p\ndef f(a):\n    return a"
    ),
    'def f(a):\n    "Say"  # why\n    return a\n': "def f(a):\n    # why\n    return a",
    'def f(a):\r\n    "Say."\r\n\r\n    return a\r\n': "def f(a):\r\n    return a",
}


@pytest.mark.parametrize("source", CASES)
def test_the_docstring_is_cut_out_and_comments_stay(source):
    node = ast.parse(source).body[0]
    node = node.body[0] if isinstance(node, ast.ClassDef) else node
    found = module.without_docstring(node, source, line_starts(source))
    assert found == CASES[source]


def write_library(folder, files):
    for name in module.NEEDED:
        files.setdefault(name, "")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def function(name, sentence, body):
    return f'def {name}(a):\n    """{sentence}"""\n    {body}\n\n'


def test_what_says_or_does_too_little_is_left_out(tmp_path):
    files = {
        f"m{i}.py": function("f", f"Turn the number{i} around.", f"return a + {i}")
        for i in range(9)
    }
    files["x.py"] = (
        function("short", "Too short.", "return 1")
        + function("nothing", "Do nothing at all.", "pass")
        + function("abstract", "Left to the heirs.", "raise NotImplementedError")
        + function("told", "Print these four words.", "print('Print these four words.')")
        + function("shared", "Same words in modules.", "return 2")
        + function("good", "Add one to it.", "return a + 1")
        + function("good", "Add one more to it.", "return a + 1")
        + function("better", "Add one to it.", "a += 1; return a")
    )
    files["y.py"] = function("shared", "Same words in modules.", "return 3")
    files["test/z.py"] = function("f", "Not read at all.", "return 4")
    collection = module.read_library(write_library(tmp_path, files))
    ids = [one for one in collection.doc_ids.to_pylist() if not one.startswith("m")]
    assert ids == ["x.good", "x.better"]
    judged = [
        (row["query_id"], row["doc_id"])
        for row in collection.judgments.to_pylist()
        if row["doc_id"].startswith("x")
    ]
    assert judged == [
        ("q/x.good", "x.good"),
        ("q/x.good", "x.better"),
        ("q/x.good~2", "x.good"),
    ]


def test_a_missing_source_names_the_package_that_brings_it(tmp_path):
    message = f"the source of the Python standard library is not in {tmp_path} (4 of 4 files"
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        module.read_library(tmp_path)
    assert re.search(r"libpython3\.\d+-stdlib, or python3-full", str(caught.value))
