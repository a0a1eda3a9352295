"""The audit trail's entries, which the database itself refuses to alter or remove."""

import sqlalchemy as sa
from alembic import op

from citybrain.database import BIG, TEXT

revision = "0001"
down_revision = None

_REFUSED = "the audit trail is appended only"
_POSTGRES = (
    f"CREATE FUNCTION audit_entries_are_appended_only() RETURNS trigger LANGUAGE plpgsql"
    f" AS $$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$",
    "CREATE TRIGGER entries_are_never_altered BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries"
    " FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_are_appended_only()",
)
_SQLITE = (
    "CREATE TRIGGER IF NOT EXISTS entries_are_never_altered BEFORE UPDATE ON audit_entries"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    "CREATE TRIGGER IF NOT EXISTS entries_are_never_removed BEFORE DELETE ON audit_entries"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
)


def upgrade() -> None:
    db = op.get_bind()
    if sa.inspect(db).has_table(
        "entries"
    ):  # as it was called while it had a file to itself; triggers and indexes go along
        op.rename_table("entries", "audit_entries")
        return
    words: list[sa.Column[str]] = [
        sa.Column(name, TEXT, nullable=False) for name in ("actor", "role", "address", "what", "subject", "outcome")
    ]
    op.create_table(
        "audit_entries",
        sa.Column("n", BIG, primary_key=True, autoincrement=False),
        sa.Column("at", TEXT, nullable=False),
        *words,
        sa.Column("more", TEXT, nullable=False),
        sa.Column("hash", TEXT, nullable=False),
    )
    op.create_index("entries_by_instant", "audit_entries", ["at"])
    for name in ("actor", "what", "subject"):
        op.create_index(f"entries_by_{name}", "audit_entries", [name, "n"])
    for statement in _POSTGRES if db.dialect.name == "postgresql" else _SQLITE:
        db.exec_driver_sql(statement)
