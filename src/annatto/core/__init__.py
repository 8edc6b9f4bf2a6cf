"""Nouns, tables, errors, and a Collection on disk."""
