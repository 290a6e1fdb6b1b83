"""Columns of side tables and of requests -> arrays, by vocabularies that are fitted once."""
