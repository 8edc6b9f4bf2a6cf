"""The whole way in memory: mine, train, save, measure, index, search.

The model is two random layers and the collection made up, so that nothing is downloaded: it shows
how the pieces fit together, not that anything gets good.
"""

import tempfile
from pathlib import Path

from annatto import Embedder
from annatto.evaluate.compare import compare
from annatto.evaluate.run import evaluate
from annatto.index.folder import build, open_index
from annatto.mine.margin import relative
from annatto.mine.pool import pool
from annatto.mine.teach import by_encoder
from annatto.search.find import find
from annatto.testing import tiny_collection, tiny_encoder, tiny_model
from annatto.train.loop import train
from annatto.train.settings import Settings


def main(folder):
    collection, teacher = tiny_collection(), tiny_encoder()
    start = Embedder.load(tiny_model(folder / "start"))

    candidates = pool(collection, [teacher], depth=20)
    taught = by_encoder(candidates, teacher, depth=20)
    mined = relative(taught, source=f"teacher:{teacher.name}", k=3)

    settings = Settings(steps=10, batch_size=8, lora_rank=0, lr=1e-3, teacher="teacher:tiny")
    saved = train(mined, start, settings=settings).save(folder / "trained")
    trained = Embedder.load(saved)  # what is measured and indexed is what was written

    found = evaluate(collection, {"before": start, "after": trained}, split="test")
    result = compare(found, "after", "before")
    print(f"{result.measure}: {result.mean_before:.3f} before, {result.mean_after:.3f} after;")
    print(f"difference {result.difference:+.3f} [{result.low:+.3f}, {result.high:+.3f}]", end=", ")
    print(result.verdict)

    build(collection, trained, folder / "index", weights={"weights": str(saved)})
    index = open_index(folder / "index")
    for hit in find(index, ["what about rare7 and piano"], encoder=trained, k=3).to_pylist():
        print(hit["rank"], f"{hit['score']:.3f}", hit["doc_id"], hit["text"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(Path(place))
