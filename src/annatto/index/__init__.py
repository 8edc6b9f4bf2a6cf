"""Vectors and words made searchable."""
