"""Make a folder of text files searchable with all-MiniLM-L6-v2, and ask it something."""

from pathlib import Path

import annatto
from annatto.index.folder import build, open_index
from annatto.search.find import find

documents = annatto.load("docs")  # .md, .txt, .html and .py files, cut at natural boundaries
model = annatto.Embedder.load("minilm")  # fetched once by: annatto weights get minilm
place = Path("runs/docs-index")
build(documents, model, place, weights={"weights": "minilm"})  # again: only what has changed
question = "which negatives are rejected, and why?"
hits = find(open_index(place), [question], encoder=model, k=3)
for hit in hits.to_pylist():
    print(f"{hit['score']:.3f}  {hit['source']}:{hit['line']}  {hit['title']}")
