"""Slow, independent truths."""
