"""One pure pipeline, run in different ways."""
