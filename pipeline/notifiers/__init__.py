"""Who is told about a case, and how: one file a way."""
