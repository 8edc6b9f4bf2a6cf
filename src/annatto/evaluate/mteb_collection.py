"""A Collection as a local mteb task, and the documents of an mteb task as a Collection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from annatto.core.errors import MissingExtra
from annatto.core.store import collection_hash
from annatto.core.tables import CORPUS, TEXT
from annatto.core.types import BATCH_ROWS, Collection
from annatto.evaluate.measures import check_whole
from annatto.evaluate.select import Selection, select

DOCUMENTS = pa.schema([("id", TEXT), ("title", TEXT), ("text", TEXT)])


def retrieval_task(
    collection: Collection,
    *,
    name: str,
    split: str = "test",
    origins: Sequence[str] = ("gold", "human"),
) -> Any:
    """A Collection as an mteb retrieval task, measured by nDCG@10.

    The queries, positives and documents are those of `evaluate.run.evaluate`, and so is the text
    of a document. mteb knows one prompt for a task: the `task` and `instruction` of a query do not
    count. The content hash of the Collection is the data's revision, so that results of a
    Collection that was changed are not taken for those of this one.

    Args:
        collection: with judged queries in `split`; its documents stay on disk.
        name: what results are kept under; a prompt `query/NAME` that a model stores is used.
        split: whose queries to measure.
        origins: whose judgments count; `human` also stands for `human:NAME`.

    Returns:
        An instance of mteb's AbsTaskRetrieval; its data is read when it is first evaluated.

    Raises:
        MissingExtra: mteb is not installed.
        UsageError: no such split.
        InputError: no query has a positive of these origins, or a grade is not a whole number.
    """
    try:
        from mteb.abstasks.retrieval import AbsTaskRetrieval
    except ImportError as error:
        raise MissingExtra("a collection as an mteb task", "mteb") from error
    chosen = select(collection, split, origins)
    check_whole(chosen.positives)
    folder = TemporaryDirectory(prefix="annatto-mteb-")

    def load_data(task: Any, **_: Any) -> None:
        data = {
            "corpus": _documents(collection, Path(folder.name)),
            "queries": _queries(chosen),
            "relevant_docs": _relevant(chosen),
            "top_ranked": None,
        }
        task.dataset = {"default": {split: data}}
        task.data_loaded = True

    about = _metadata(name, split, collection_hash(collection))
    made = type("CollectionRetrieval", (AbsTaskRetrieval,), about | {"load_data": load_data})
    return made()


def collection_of(corpus: Any, folder: Path) -> Collection:
    """The documents of an mteb task as a Collection on disk, without queries.

    Args:
        corpus: a `datasets.Dataset` with `id`, `text` and perhaps `title`.
        folder: there already; the documents lie in it, in place of those before.
    """
    path = folder / "corpus.parquet"
    schema = CORPUS.empty().schema
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in corpus.iter(BATCH_ROWS):
            empty = [""] * len(rows["id"])
            titles = [title or "" for title in rows.get("title", empty)]
            table = {"doc_id": rows["id"], "title": titles, "text": rows["text"]}
            nulls = {column: [None] * len(empty) for column in CORPUS.optional}
            writer.write_table(CORPUS.table(table | nulls).cast(schema))
    return Collection(ds.dataset(path, format="parquet"))


def _documents(collection: Collection, folder: Path) -> Any:
    """A memory-mapped `datasets.Dataset` of all documents."""
    from datasets import Dataset

    path = folder / "corpus.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, DOCUMENTS) as writer:
        for batch in collection.documents(["doc_id", "title", "text"]):
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=DOCUMENTS))
    return Dataset.from_file(str(path))


def _queries(chosen: Selection) -> Any:
    from datasets import Dataset

    rows = chosen.queries
    return Dataset.from_dict({"id": rows["query_id"].to_pylist(), "text": rows["text"].to_pylist()})


def _relevant(chosen: Selection) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in chosen.positives.to_pylist():
        found.setdefault(row["query_id"], {})[row["doc_id"]] = int(row["grade"])
    return found


def _metadata(name: str, split: str, revision: str) -> dict[str, Any]:
    from mteb.abstasks.task_metadata import TaskMetadata

    return {
        "metadata": TaskMetadata(
            name=name,
            description=f"The split {split} of a collection.",
            type="Retrieval",
            category="t2t",
            modalities=["text"],
            eval_splits=[split],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
            dataset={"path": name, "revision": revision},
        )
    }
