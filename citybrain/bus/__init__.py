"""Topics as ordered, durable logs: where stages meet."""
