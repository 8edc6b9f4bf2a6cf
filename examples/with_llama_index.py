"""Use a served model in LlamaIndex, through its class for servers like OpenAI's.

    pip install llama-index-core llama-index-embeddings-openai-like
    annatto serve FOLDER
    python examples/with_llama_index.py http://127.0.0.1:8000 FOLDER

Queries and documents each have an object of their own: one builds the index, the other asks it.
LlamaIndex puts a space for every line break before it sends a text.
"""

import os
import sys

import numpy as np
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode
from llama_index.embeddings.openai_like import OpenAILikeEmbedding

from annatto import Embedder


def served(address, name):
    key = os.environ.get("ANNATTO_API_KEY", "none")
    return OpenAILikeEmbedding(model_name=name, api_base=f"{address}/v1", api_key=key)


address, folder = sys.argv[1:]
query = "Which stems do zebras eat?"
documents = ["Zebras eat grass, and little else.", "Rivers run to the sea."]

ours = Embedder.load(folder)
for_documents, for_queries = served(address, ours.name), served(address, f"{ours.name}:query")
theirs = for_documents.get_text_embedding_batch(documents)
np.testing.assert_allclose(theirs, ours.encode(documents, prompt="document"), atol=1e-5)
theirs = [for_queries.get_query_embedding(query)]
np.testing.assert_allclose(theirs, ours.encode([query], prompt="query"), atol=1e-5)
print("LlamaIndex's vectors of query and documents are the model's own")

nodes = [TextNode(text=text) for text in documents]
index = VectorStoreIndex(nodes, embed_model=for_documents)
retriever = index.as_retriever(similarity_top_k=1, embed_model=for_queries)
print(retriever.retrieve(query)[0].text)
