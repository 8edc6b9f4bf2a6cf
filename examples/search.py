"""Make a folder of text files searchable with all-MiniLM-L6-v2, and ask it something."""

from pathlib import Path

import annatto
from annatto.index.folder import build, open_index

documents = annatto.load("docs")  # .md, .txt, .html and .py files, cut at natural boundaries
model = annatto.Embedder.load("minilm")  # fetched once by: annatto weights get minilm
folder = build(documents, model, Path("runs/docs-index"), weights={"weights": "minilm"})
hits = open_index(folder).search(model, ["which negatives are rejected, and why?"], k=3)
for hit in hits.to_pylist():
    print(f"{hit['score']:.3f}  {hit['source']}:{hit['line']}  {hit['title']}")
