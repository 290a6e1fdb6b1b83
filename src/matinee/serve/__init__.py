"""Models that answer over HTTP, and the events they are told."""
