"""Alembic's entry: runs the scripts it is asked for on the connection, and within the transaction, that it is given."""

from alembic import context

given = context.config.attributes
context.configure(connection=given["connection"], version_table=given["version_table"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
