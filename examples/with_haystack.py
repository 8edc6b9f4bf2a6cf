"""Use a served model in Haystack, through its components for OpenAI.

    pip install haystack-ai
    annatto serve FOLDER
    python examples/with_haystack.py http://127.0.0.1:8000 FOLDER

Haystack has one component for queries and one for documents; each gets a model name. Haystack tells
its makers how it is used unless HAYSTACK_TELEMETRY_ENABLED is False.
"""

import os
import sys

import numpy as np
from haystack import Document
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import Secret

from annatto import Embedder

address, folder = sys.argv[1:]
query = "Which stems do zebras eat?"
documents = ["Zebras eat grass,\nand little else.", "Rivers run to the sea."]

ours = Embedder.load(folder)
key = Secret.from_token(os.environ.get("ANNATTO_API_KEY", "none"))
settings = {"api_key": key, "api_base_url": f"{address}/v1"}
for_documents = OpenAIDocumentEmbedder(model=ours.name, progress_bar=False, **settings)
for_queries = OpenAITextEmbedder(model=f"{ours.name}:query", **settings)

embedded = for_documents.run([Document(content=text) for text in documents])["documents"]
theirs = [one.embedding for one in embedded]
np.testing.assert_allclose(theirs, ours.encode(documents, prompt="document"), atol=1e-5)
asked = for_queries.run(query)["embedding"]
np.testing.assert_allclose([asked], ours.encode([query], prompt="query"), atol=1e-5)
print("Haystack's vectors of query and documents are the model's own")

store = InMemoryDocumentStore(embedding_similarity_function="cosine")
store.write_documents(embedded)
print(InMemoryEmbeddingRetriever(store, top_k=1).run(asked)["documents"][0].content)
