"""Tuning: which settings are tried, where each trial is kept, what came of it, and the reader of it."""
