"""Load a model that annatto saved with sentence-transformers, and without annatto where it is used.

    python examples/with_sentence_transformers.py FOLDER

The folder holds the prompts; LangChain's, LlamaIndex's and Haystack's classes for Hugging Face and
sentence-transformers load it as well.
"""

import sys

import numpy as np
from sentence_transformers import SentenceTransformer

from annatto import Embedder

(folder,) = sys.argv[1:]
queries = ["Which stems do zebras eat?", "a second question"]
documents = ["Zebras eat grass,\nand little else.", "Rivers run to the sea."]

ours, theirs = Embedder.load(folder), SentenceTransformer(folder)
np.testing.assert_allclose(
    theirs.encode_query(queries), ours.encode(queries, prompt="query"), atol=1e-5
)
np.testing.assert_allclose(
    theirs.encode_document(documents), ours.encode(documents, prompt="document"), atol=1e-5
)
print("sentence-transformers' vectors of queries and documents are the model's own")
print(theirs.similarity(theirs.encode_query(queries), theirs.encode_document(documents)))
