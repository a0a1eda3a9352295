"""What Alembic runs for citybrain/database.py; the scripts themselves lie beside the stores whose tables they make."""
