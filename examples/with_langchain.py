"""Use a served model in LangChain, through its class for OpenAI.

    pip install langchain-openai
    annatto serve FOLDER
    python examples/with_langchain.py http://127.0.0.1:8000 FOLDER

LangChain sends queries and documents alike, so each has an object of its own, and one class puts
them together. `check_embedding_ctx_length=False` makes it send text; by default it sends the token
ids of another tokenizer, which the server refuses.
"""

import os
import sys

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings

from annatto import Embedder


class Served(Embeddings):
    """Queries by one model name, documents by another."""

    def __init__(self, address, name):
        key = os.environ.get("ANNATTO_API_KEY", "none")
        settings = {"base_url": f"{address}/v1", "api_key": key}
        settings["check_embedding_ctx_length"] = False
        self.documents = OpenAIEmbeddings(model=name, **settings)
        self.queries = OpenAIEmbeddings(model=f"{name}:query", **settings)

    def embed_documents(self, texts):
        """A vector for each."""
        return self.documents.embed_documents(texts)

    def embed_query(self, text):
        """A vector, by the query's prompt."""
        return self.queries.embed_query(text)


address, folder = sys.argv[1:]
query = "Which stems do zebras eat?"
documents = ["Zebras eat grass,\nand little else.", "Rivers run to the sea."]

ours = Embedder.load(folder)
served = Served(address, ours.name)
theirs = served.embed_documents(documents)
np.testing.assert_allclose(theirs, ours.encode(documents, prompt="document"), atol=1e-5)
theirs = [served.embed_query(query)]
np.testing.assert_allclose(theirs, ours.encode([query], prompt="query"), atol=1e-5)
print("LangChain's vectors of query and documents are the model's own")

store = InMemoryVectorStore.from_texts(documents, served)
print(store.similarity_search(query, k=1)[0].page_content)
