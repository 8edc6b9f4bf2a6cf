"""Measuring systems against judgments, and comparing them."""
