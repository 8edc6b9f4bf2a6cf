"""Stages that find candidates, ask teachers and choose negatives."""
