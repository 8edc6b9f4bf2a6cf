"""Training an Embedder on a Collection."""
