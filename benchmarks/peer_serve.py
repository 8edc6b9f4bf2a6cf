"""The server that one writes in ten minutes: FastAPI and sentence-transformers, OpenAI's schema.

python benchmarks/peer_serve.py FOLDER DTYPE
"""

from __future__ import annotations

import base64
import socket
import sys

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer


class Request(BaseModel):
    model: str
    input: str | list[str]
    encoding_format: str = "float"


def main() -> None:
    folder, dtype = sys.argv[1:]
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = SentenceTransformer(folder, device=device, model_kwargs={"dtype": kinds[dtype]})
    app = FastAPI()

    @app.post("/v1/embeddings")
    def embed(body: Request) -> dict[str, object]:
        texts = [body.input] if isinstance(body.input, str) else body.input
        vectors = model.encode(texts, prompt_name=body.model.rpartition(":")[2] or None)
        rows = [
            {
                "object": "embedding",
                "index": i,
                "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode()
                if body.encoding_format == "base64"
                else vector.tolist(),
            }
            for i, vector in enumerate(vectors)
        ]
        return {"object": "list", "model": body.model, "data": rows}

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    print(f"serving at http://127.0.0.1:{listener.getsockname()[1]}: {folder}", file=sys.stderr)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])


if __name__ == "__main__":
    main()
