"""The server: OpenAI's embeddings, reranking and search over HTTP."""
