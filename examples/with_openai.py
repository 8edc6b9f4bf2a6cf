"""Ask a served model for vectors with OpenAI's own client.

    annatto serve FOLDER
    python examples/with_openai.py http://127.0.0.1:8000 FOLDER

Roles are model names: NAME shows documents, NAME:query queries.
"""

import os
import sys

import numpy as np
from openai import OpenAI

from annatto import Embedder

address, folder = sys.argv[1:]
client = OpenAI(base_url=f"{address}/v1", api_key=os.environ.get("ANNATTO_API_KEY", "none"))
name = client.models.list().data[0].id
queries = ["Which stems do zebras eat?", "a second question"]
documents = ["Zebras eat grass,\nand little else.", "Rivers run to the sea."]

ours = Embedder.load(folder)
for role, texts in (("query", queries), ("document", documents)):
    reply = client.embeddings.create(model=f"{name}:{role}", input=texts)
    theirs = np.array([row.embedding for row in reply.data])
    np.testing.assert_allclose(theirs, ours.encode(texts, prompt=role), atol=1e-5)
    print(f"{role}: the client's {len(theirs)} vectors are the model's own")
