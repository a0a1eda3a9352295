"""What every database keeps: whole transactions, one writer where one is asked for, tables that go up by versions only."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from citybrain.database import BIG, HIGHEST, TEXT, Database, Migrations
from citybrain.errors import DatabaseAway, UsageError
from tests.postgres import PASSWORD

NOTES = sa.Table("notes", sa.MetaData(), *(sa.Column(name, TEXT) for name in ("id", "words")), sa.Column("n", BIG))

FIRST = """
import sqlalchemy as sa
from alembic import op
from citybrain.database import TEXT

revision = "0001"
down_revision = None


def upgrade():
    op.create_table("notes", sa.Column("id", TEXT, primary_key=True), sa.Column("words", TEXT))
"""

SECOND = """
import sqlalchemy as sa
from alembic import op
from citybrain.database import BIG

revision = "0002"
down_revision = "0001"


def upgrade():
    op.add_column("notes", sa.Column("n", BIG, server_default="7"))
"""

BROKEN = SECOND + '    op.execute("INSERT INTO nowhere VALUES (1)")\n'

_packages = count(1)


@pytest.fixture
def versions(tmp_path, monkeypatch):
    """Makes the tables of a store whose scripts are these."""

    def made(*scripts: str) -> Migrations:
        package = f"notes_{next(_packages)}"
        folder = tmp_path / "packages" / package
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
        for n, script in enumerate(scripts, 1):
            (folder / f"v{n:04}_notes.py").write_text(script)
        return Migrations("notes", package)

    monkeypatch.syspath_prepend(tmp_path / "packages")
    (tmp_path / "packages").mkdir()
    return made


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request, tmp_path):
    """Opens the same database once more, as another process would."""
    made: list[Database] = []
    url = (
        request.getfixturevalue("postgres").empty() if request.param == "postgres" else f"sqlite:///{tmp_path}/a b%.db"
    )

    def again() -> Database:
        made.append(Database.open(url))
        return made[-1]

    yield again
    for each in made:
        each.close()


def put(database: Database, id: str, words: str = "") -> None:
    with database.writing() as db:
        db.execute(database.insert(NOTES).values(id=id, words=words))


def ids(database: Database) -> list[str]:
    with database.reading() as db:
        return list(db.scalars(sa.select(NOTES.c.id).order_by(NOTES.c.id)))


def test_an_empty_database_gets_its_tables_and_a_second_time_changes_nothing(opened, versions, caplog):
    caplog.set_level(logging.INFO, "citybrain.database")
    notes, database = versions(FIRST, SECOND), opened()
    database.migrate(notes)
    put(database, "a")
    database.migrate(notes)
    opened().migrate(notes)
    assert ids(database) == ["a"]
    told = [each.getMessage() for each in caplog.records if each.name == "citybrain.database"]
    assert len(told) == 1
    assert "of version 0002" in told[0]


def test_tables_of_an_older_version_are_brought_up_with_what_is_in_them(opened, versions):
    database = opened()
    database.migrate(versions(FIRST))
    put(database, "a")
    database.migrate(versions(FIRST, SECOND))
    with database.reading() as db:
        assert db.execute(sa.select(NOTES.c.id, NOTES.c.n)).all() == [("a", 7)]


def test_tables_of_a_newer_version_are_refused_and_left_alone(opened, versions):
    database = opened()
    database.migrate(versions(FIRST, SECOND))
    with pytest.raises(UsageError, match=r"tables of notes are of version 0002.*knows up to 0001") as refused:
        database.migrate(versions(FIRST))
    assert PASSWORD not in str(refused.value)
    with database.reading() as db:
        assert "n" in {each["name"] for each in sa.inspect(db).get_columns("notes")}


def test_a_migration_that_fails_leaves_what_was_there(opened, versions):
    database = opened()
    database.migrate(versions(FIRST))
    put(database, "a")
    with pytest.raises(sa.exc.DBAPIError):
        database.migrate(versions(FIRST, BROKEN))
    with database.reading() as db:
        assert "n" not in {each["name"] for each in sa.inspect(db).get_columns("notes")}
    database.migrate(versions(FIRST, SECOND))
    assert ids(database) == ["a"]


def test_processes_that_start_together_migrate_once(opened, versions, caplog):
    caplog.set_level(logging.INFO, "citybrain.database")
    notes, databases = versions(FIRST, SECOND), [opened() for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda each: each.migrate(notes), databases))
    assert len([each for each in caplog.records if "of version 0002" in each.getMessage()]) == 1


def test_a_transaction_that_raises_leaves_nothing_behind(opened, versions):
    database = opened()
    database.migrate(versions(FIRST))

    def fail() -> None:
        with database.writing() as db:
            db.execute(database.insert(NOTES).values(id="a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert ids(database) == []
    put(database, "b")
    assert ids(database) == ["b"]


def test_readers_do_not_wait_for_a_writer_and_see_what_is_committed(opened, versions):
    database, other = opened(), opened()
    database.migrate(versions(FIRST))
    with database.writing() as db:
        db.execute(database.insert(NOTES).values(id="a"))
        assert ids(other) == []
        assert ids(database) == []
    assert ids(other) == ["a"]


def test_a_snapshot_reads_everything_as_of_one_instant(opened, versions):
    database, other = opened(), opened()
    database.migrate(versions(FIRST))
    put(database, "a")
    every = sa.select(NOTES.c.id).order_by(NOTES.c.id)
    for told in (["a"], ["a", "b"]):  # the next one begins anew
        with database.snapshot() as db:
            assert list(db.scalars(every)) == told
            put(other, chr(ord(told[-1]) + 1))
            assert list(db.scalars(every)) == told
    assert ids(database) == ["a", "b", "c"]


def test_text_is_ordered_by_its_code_points_and_found_by_its_beginning(opened, versions):
    database = opened()
    database.migrate(versions(FIRST))
    told = ["Zebra", "ant", "cell-1", "cell-10", "cell-2", "昆明", "官渡", "\U0001f525"]
    for each in told:
        put(database, each)
    assert ids(database) == sorted(told)
    with database.reading() as db:
        within = sa.and_(NOTES.c.id >= "cell-1", NOTES.c.id < "cell-1" + HIGHEST)
        assert set(db.scalars(sa.select(NOTES.c.id).where(within))) == {"cell-1", "cell-10"}


def test_alone_is_one_at_a_time_whoever_asks(opened):
    database, other, order = opened(), opened(), list[str]()
    held, go = threading.Event(), threading.Event()

    def first() -> None:
        with database.writing() as db:
            database.alone(db, "the desk")
            held.set()
            go.wait()
            order.append("first")

    def second() -> None:
        with other.writing() as db:
            other.alone(db, "the desk")
            order.append("second")

    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(first)]
        held.wait()
        running.append(threads.submit(second))
        if database.postgres:
            with opened().writing() as db:
                assert not other.alone_now(db, "the desk")
                assert other.alone_now(db, "another desk")
        go.set()
        for each in running:
            each.result()
    assert order == ["first", "second"]


def test_a_write_that_many_threads_make_is_made_each_time(opened, versions):
    database = opened()
    database.migrate(versions(FIRST, SECOND))
    with database.writing() as db:
        db.execute(database.insert(NOTES).values(id="a", n=0))

    def one_more(_: int) -> None:
        with database.writing() as db:
            n = db.scalar(sa.select(NOTES.c.n).where(NOTES.c.id == "a").with_for_update())
            db.execute(sa.update(NOTES).values(n=n + 1))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(one_more, range(40)))
    with database.reading() as db:
        assert db.scalar(sa.select(NOTES.c.n)) == 40


def test_a_database_in_memory_is_one_for_all_threads(versions):
    database = Database.memory()
    database.migrate(versions(FIRST))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: put(database, str(n)), range(20)))
    assert len(ids(database)) == 20
    database.close()


def test_a_file_is_its_owners_only(tmp_path):
    database = Database.file(tmp_path / "folder" / "secrets.db")
    with database.writing() as db:
        db.exec_driver_sql("CREATE TABLE t (n)")
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "folder").iterdir()}
    database.close()
    assert set(modes.values()) == {0o600}
    assert "secrets.db-wal" in modes


def test_what_a_file_may_not_reference_is_refused(tmp_path):
    database = Database.file(tmp_path / "notes.db")
    with database.writing() as db:
        db.exec_driver_sql("CREATE TABLE parents (id INTEGER PRIMARY KEY)")
        db.exec_driver_sql("CREATE TABLE children (parent INTEGER REFERENCES parents (id))")
    with pytest.raises(sa.exc.IntegrityError), database.writing() as db:
        db.exec_driver_sql("INSERT INTO children VALUES (1)")
    database.close()


@pytest.mark.parametrize(
    "address",
    [
        "mysql://root:s3cret@db/city",
        "postgresql://root:s3cret@db",
        "s3cret",
        "postgresql://root:s3cret@db:port/city",
        "postgresql+asyncpg://root:s3cret@db/city",
        "sqlite://",
        "",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(address):
    with pytest.raises(UsageError, match=r"expected a database such as postgresql://") as refused:
        Database.open(address)
    assert "s3cret" not in str(refused.value)


def test_a_database_that_is_away_is_said_to_be_without_its_password(caplog):
    database = Database.open("postgresql://city:s3cret@127.0.0.1:9/city?password=s3cret&sslmode=disable")
    with pytest.raises(DatabaseAway) as away, database.reading():
        pass
    assert "postgresql://city:***@127.0.0.1:9/city" in str(away.value)
    assert "refused" in str(away.value)
    assert "s3cret" not in str(away.value) + database.address + caplog.text
    database.close()


def test_a_wrong_password_is_told_and_not_shown(postgres):
    database = Database.open(postgres.url().replace("pass%20word", "s3cret"))
    with pytest.raises(DatabaseAway, match="password authentication failed") as away, database.reading():
        pass
    assert "s3cret" not in str(away.value)
    database.close()


@pytest.mark.parametrize(("durable", "waits"), [(True, "on"), (False, "off")])
def test_a_server_is_told_who_asks_and_how_long_anything_may_take(postgres, durable, waits):
    url = f"{postgres.url()}?connect_timeout=7&options=-cstatement_timeout=1234"
    database = Database.open(url, durable=durable, role="api")
    with database.reading() as db:
        said = {
            name: db.scalar(sa.text(f"SHOW {name}"))
            for name in (
                "application_name",
                "synchronous_commit",
                "statement_timeout",
                "idle_in_transaction_session_timeout",
            )
        }
    database.close()
    assert said == {
        "application_name": "citybrain api",
        "synchronous_commit": waits,
        "statement_timeout": "1234ms",  # the address's own word goes before ours
        "idle_in_transaction_session_timeout": "5s",
    }


def test_a_statement_that_takes_too_long_is_told_as_being_away(postgres):
    database = Database.open(f"{postgres.url()}?options=-cstatement_timeout=50")
    with pytest.raises(DatabaseAway, match="statement timeout"), database.reading() as db:
        db.execute(sa.text("SELECT pg_sleep(5)"))
    database.close()


def test_after_a_crash_of_the_server_the_next_question_is_answered(postgres, versions):
    database = Database.open(postgres.empty())
    database.migrate(versions(FIRST))
    put(database, "a")
    postgres.kill()
    try:
        with pytest.raises(DatabaseAway):
            put(database, "b")
        with pytest.raises(DatabaseAway):
            ids(database)
    finally:
        postgres.start()
    put(database, "c")
    assert ids(database) == ["a", "c"]
    database.close()


def test_a_crash_within_a_transaction_is_told_as_being_away(postgres, versions):
    database = Database.open(postgres.empty())
    database.migrate(versions(FIRST))

    def write() -> None:
        with database.writing() as db:
            db.execute(database.insert(NOTES).values(id="a"))
            postgres.kill()
            postgres.start()
            db.execute(database.insert(NOTES).values(id="b"))

    with pytest.raises(DatabaseAway):
        write()
    assert ids(database) == []
    database.close()


def test_a_mistake_of_ours_is_no_absence(opened):
    with pytest.raises(sa.exc.DBAPIError), opened().reading() as db:
        db.execute(sa.text("SELECT nothing FROM nowhere"))


def test_types_hold_what_the_city_needs(opened):
    tables = sa.MetaData()
    cells = sa.Table("cells", tables, sa.Column("n", BIG, primary_key=True), sa.Column("words", TEXT))
    database = opened()
    with database.writing() as db:
        tables.create_all(db)
        db.execute(sa.insert(cells).values(n=2**40, words="'; DROP TABLE cells; -- %s :n 官渡区"))
    with database.reading() as db:
        assert db.execute(sa.select(cells)).one() == (2**40, "'; DROP TABLE cells; -- %s :n 官渡区")


def test_a_path_may_hold_what_a_url_may_not(tmp_path):
    path = Path(tmp_path / "100% #1?.db")
    database = Database.file(path)
    with database.writing() as db:
        db.exec_driver_sql("CREATE TABLE t (n)")
    database.close()
    assert path.exists()
