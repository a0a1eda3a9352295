"""A database by its URL: PostgreSQL where many machines share it, a file of SQLite on one; transactions and migrations.

    NOTES = Migrations("notes", "events_api.notes.migrations")       # scripts v0001_….py, v0002_….py in that package

    class Notes:
        def __init__(self, database: Database) -> None:
            self._database = database
            database.migrate(NOTES)                                  # when opened: does nothing when there is nothing to do

        def put(self, id: str, words: str) -> None:
            with self._database.writing() as db:                     # one transaction; rolled back when it raises
                row = self._database.insert(notes).values(id=id, words=words)
                db.execute(row.on_conflict_do_update(index_elements=["id"], set_={"words": row.excluded.words}))

        def get(self, id: str) -> str | None:
            with self._database.reading() as db:                     # no transaction: each statement sees what is committed
                return db.scalar(select(notes.c.words).where(notes.c.id == id))

    Notes(Database.open("postgresql://citybrain:…@db/citybrain"))    # one for all stores of a process: it holds the pool
    Notes(Database.file(folder / "notes.db"))

Columns are TEXT and BIG from here, so that both databases order text by its code points and count beyond 32 bits. A statement
is SQLAlchemy Core, and the same for both.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import logging
import re
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import QueuePool

from citybrain.errors import DatabaseAway, UsageError

log = logging.getLogger(__name__)


class Words(sa.types.TypeDecorator[str]):
    """Text that is ordered by its code points. What no database keeps is replaced, where it is written as where it is sought:
    halves of characters, and the character zero."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[str]:
        return postgresql.TEXT(collation="C") if dialect.name == "postgresql" else sa.Text()

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        if value is None:
            return None
        if "\x00" in value:
            value = value.replace("\x00", "\ufffd")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return value.encode("utf-8", "replace").decode()
        return value


TEXT = Words()
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
HIGHEST = "\U0010ffff"
"""Behind every text with a prefix: `column >= prefix`, `column < prefix + HIGHEST` is what begins with it, by an index."""

_DRIVER = "postgresql+psycopg"
_POSTGRES = ("postgresql", "postgres", _DRIVER)
_EXPECTED = "postgresql://[user[:password]@]host[:port]/name or sqlite:///path"
_SECRETS = ("password", "sslpassword")
_CONNECT_S = 3
_STATEMENT_S = 15
_IDLE_S = 5  # between two statements of a transaction: who stands still for longer holds locks that others wait for
_BUSY_S = 30
_CONNECTIONS, _AT_MOST = 5, 15  # kept open by a process, and open in a crowd
_SQLITE_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
# Connection, transaction rolled back, resources, locks, operator intervention, system; a server that became a standby, a
# transaction in which this process stood still for too long.
_POSTGRES_AWAY = re.compile(r"08|40|53|55P03|57|58|25006|25P03")
_SCRIPT = re.compile(r"v(\d{4})_\w+\.py")


@dataclass(frozen=True, slots=True)
class Migrations:
    """The tables of one store through its versions: its name, and the package that holds its scripts.

    Each store's version is kept in a table of its own (`<name>_version`), so that stores may share a database or not. A script
    is Alembic's: `revision = "0002"`, `down_revision = "0001"`, `upgrade()`, in `v0002_<what>.py`. Scripts are in one line, and
    never altered once released.
    """

    name: str
    package: str

    @property
    def table(self) -> str:
        return f"{self.name}_version"

    @property
    def head(self) -> str:
        """The newest version, by the scripts' names."""
        names = (each.name for each in importlib.resources.files(self.package).iterdir())
        return max(found[1] for name in names if (found := _SCRIPT.fullmatch(name)))


class Database:
    """One database and its pool of connections. Threads may share it; it connects when first asked, and again by itself."""

    def __init__(self, url: sa.URL, *, durable: bool = True, role: str = "") -> None:
        self.postgres = url.drivername == _DRIVER
        self.address = _shown(url)
        """Without its password, for people."""
        self._password = url.password
        self._engine = _postgres(url, role, durable=durable) if self.postgres else _sqlite(url, durable=durable)
        self._autocommit = (
            self._engine.execution_options(isolation_level="AUTOCOMMIT") if self.postgres else self._engine
        )
        self._repeatable = (
            self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            if self.postgres
            else self._engine
        )
        # To take one from the pool and to give it back costs as much as what is mostly asked of a file.
        self._at_hand: deque[sa.Connection] | None = None if self.postgres or not url.database else deque()
        # SQLite lets one write at a time, and who finds it busy sleeps and asks again: threads had better queue here.
        self._writer: AbstractContextManager[Any] = nullcontext() if self.postgres else threading.Lock()

    @classmethod
    def open(cls, url: str, *, durable: bool = True, role: str = "") -> Database:
        """By URL; what stands in a PostgreSQL URL's query (`?sslmode=verify-full`) goes to libpq. `role` is who asks, as the server
        shows it. `durable` as for a file. Raises UsageError for an address that is none, or when the driver is not installed."""
        return cls(_url(url), durable=durable, role=role)

    @classmethod
    def file(cls, path: Path, *, durable: bool = True) -> Database:
        """A file of this machine, readable by its owner only. `durable` waits for the disk at each commit; without it a power cut
        may take the last transactions, whole."""
        return cls(sa.URL.create("sqlite", database=str(path)), durable=durable)

    @classmethod
    def memory(cls) -> Database:
        """One that is forgotten when it is closed. It has one connection, which goes from hand to hand."""
        return cls(sa.URL.create("sqlite"))

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection without a transaction. Raises DatabaseAway."""
        with self._told(), self._connection(self._autocommit) as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection that reads everything as it stood at its first question, whatever is committed meanwhile. Raises
        DatabaseAway."""
        with self._told(), self._connection(self._repeatable) as connection:
            if not self.postgres:
                connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction: committed at the end, rolled back when anything raises. On SQLite it is the only one from its beginning;
        on PostgreSQL it sees what others commit meanwhile, so lock what must stand still (`with_for_update`, `alone`).
        Raises DatabaseAway: it is then unknown whether a commit that was under way came through."""
        with self._told(), self._writer, self._connection(self._engine) as connection:
            if not self.postgres:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    def insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        """An insert that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
        return postgresql.insert(table) if self.postgres else sqlite.insert(table)

    def alone(self, connection: sa.Connection, what: str) -> None:
        """Wait until no other transaction, of whatever process, is alone with `what`; then hold it until this one ends."""
        if self.postgres:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_key(what))))

    def alone_now(self, connection: sa.Connection, what: str) -> bool:
        """The same without waiting: false when another transaction holds it."""
        return not self.postgres or bool(connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(_key(what)))))

    def migrate(self, migrations: Migrations) -> None:
        """Bring a store's tables to the newest version, while no other process does. Raises UsageError for tables of a newer
        version than this citybrain knows, DatabaseAway."""
        head = migrations.head
        with self.reading() as db:
            if _version(db, migrations, self) == head:
                return
        with self.writing() as db:
            if self.postgres:
                # To wait for another process, and for large tables; a busy machine takes its time between two statements.
                db.exec_driver_sql("SET LOCAL statement_timeout = 0")
                db.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '2min'")
            self.alone(db, "migrations")
            before = _version(db, migrations, self)
            if before == head:
                return
            _run_scripts(db, migrations)
        log.info("%s: the tables of %s are of version %s now (before: %s)", self.address, migrations.name, head, before)

    def close(self) -> None:
        while self._at_hand:
            self._at_hand.pop().close()
        self._engine.dispose()

    @contextmanager
    def _connection(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        if self._at_hand is None:
            with engine.connect() as connection:
                yield connection
            return
        try:
            connection = self._at_hand.pop()
        except IndexError:
            connection = engine.connect()
        try:
            yield connection
        except BaseException:
            connection.close()  # with what it began
            raise
        if len(self._at_hand) < _CONNECTIONS:
            self._at_hand.append(connection)
        else:
            connection.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except exc.TimeoutError as error:
            raise DatabaseAway(f"{self.address}: every connection is in use") from error
        except exc.DBAPIError as error:
            if not _is_away(error):
                raise
            reason = str(error.orig).partition("\n")[0]
            if self._password:
                reason = reason.replace(str(self._password), "***")
            raise DatabaseAway(f"{self.address}: {reason}") from error


def _url(written: str) -> sa.URL:
    try:
        url = sa.make_url(written)
    except (exc.ArgumentError, ValueError):
        raise UsageError(f"expected a database such as {_EXPECTED}; got something else") from None
    if url.drivername == "sqlite" and url.database:
        return url
    if url.drivername not in _POSTGRES or not url.database:
        raise UsageError(f"expected a database such as {_EXPECTED}, got {_shown(url)}")
    return url.set(drivername=_DRIVER)


def _shown(url: sa.URL) -> str:
    if url.drivername == "sqlite":
        return url.database or "memory"
    query = {name: "***" if name in _SECRETS else value for name, value in url.query.items()}
    scheme = url.drivername.partition("+")[0]
    return url.set(query=query, drivername=scheme).render_as_string(hide_password=True)


def _postgres(url: sa.URL, role: str, *, durable: bool) -> sa.Engine:
    options = f"-c statement_timeout={_STATEMENT_S}s -c idle_in_transaction_session_timeout={_IDLE_S}s"
    if not durable:
        options += " -c synchronous_commit=off"
    # The server, too, asks whether we are alive: a transaction of a machine that vanished holds its locks no longer than this.
    options += " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
    defaults = {
        "connect_timeout": str(_CONNECT_S),
        "keepalives_idle": "5",
        "keepalives_interval": "2",
        "keepalives_count": "3",
        "tcp_user_timeout": "10000",
        "application_name": f"citybrain {role}".strip(),
    }
    given = {name: value for name, value in url.query.items() if name != "options"}
    asked = url.query.get("options", ())
    options = " ".join([options, *((asked,) if isinstance(asked, str) else asked)])
    try:
        return sa.create_engine(
            url.set(query={**defaults, **given, "options": options}),
            pool_size=_CONNECTIONS,
            max_overflow=_AT_MOST - _CONNECTIONS,
            pool_timeout=_CONNECT_S,
            pool_pre_ping=True,
            pool_use_lifo=True,
            pool_recycle=1800,
            hide_parameters=True,  # they may be about people, and errors go to logs
        )
    except ImportError:
        raise UsageError(f"{_shown(url)} needs the package psycopg: pip install 'citybrain[postgres]'") from None


def _sqlite(url: sa.URL, *, durable: bool) -> sa.Engine:
    if url.database:
        path = Path(url.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # SQLite gives its side files the same mode
    engine = sa.create_engine(
        url,
        poolclass=QueuePool,
        pool_size=_CONNECTIONS if url.database else 1,
        max_overflow=100 if url.database else 0,  # they cost little: no reader waits for another
        pool_timeout=_BUSY_S,
        pool_use_lifo=True,  # the one used last has its pages in memory
        hide_parameters=True,
        # Connections go from hand to hand, one thread at a time has each; transactions begin where we say.
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": _BUSY_S},
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")

    return engine


def _is_away(error: exc.DBAPIError) -> bool:
    """Whether trying again can help: gone, going, busy or full, but not a statement that it will never take."""
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_AWAY
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return _POSTGRES_AWAY.match(state) is not None
    return error.connection_invalidated or isinstance(error, exc.OperationalError | exc.InterfaceError)


def _key(what: str) -> int:
    """The number under which PostgreSQL knows that lock: the same for every process and version."""
    return int.from_bytes(hashlib.sha256(f"citybrain {what}".encode()).digest()[:8], signed=True)


def _version(db: sa.Connection, migrations: Migrations, database: Database) -> str | None:
    if not sa.inspect(db).has_table(migrations.table):
        return None
    found: str | None = db.scalar(sa.select(sa.column("version_num")).select_from(sa.table(migrations.table)))
    if found is not None and found > migrations.head:
        raise UsageError(
            f"{database.address}: the tables of {migrations.name} are of version {found}, made by a newer citybrain; this one"
            f" knows up to {migrations.head}. Start that newer one, or name another database"
        )
    return found


def _run_scripts(db: sa.Connection, migrations: Migrations) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command
    from alembic.config import Config

    with (
        importlib.resources.as_file(importlib.resources.files("citybrain.migrations")) as env,
        importlib.resources.as_file(importlib.resources.files(migrations.package)) as scripts,
    ):
        config = Config()
        for name, value in (("script_location", env), ("version_locations", scripts), ("path_separator", "newline")):
            config.set_main_option(name, str(value).replace("%", "%%"))
        config.attributes.update(connection=db, version_table=migrations.table)
        command.upgrade(config, "head")
