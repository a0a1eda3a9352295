"""Alembic scripts of what the API keeps beside its view of the cases, a folder for each store."""
