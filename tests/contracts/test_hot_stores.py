"""Every HotStore shows what is fresh, forgets what has expired, and never fails the one who asks."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from citybrain.clock import ManualClock, SystemClock
from citybrain.errors import UsageError
from citybrain.hot.choice import open_hot
from citybrain.hot.redis import PATIENCE_S, Address, RedisHot
from citybrain.hot.sqlite import SqliteHot
from citybrain.ports import HotStore
from tests import waiting
from tests.redis_server import RedisServer, skip_without_redis

until = partial(waiting.until, within_s=20)

EIGHT = datetime(2026, 11, 21, 8, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """A busy machine may take longer for an answer than a city waits for one; how long that is has its own tests."""
    monkeypatch.setattr("citybrain.hot.redis.PATIENCE_S", 20)


@pytest.fixture
def impatient(monkeypatch):
    """As in a city."""
    monkeypatch.setattr("citybrain.hot.redis.PATIENCE_S", PATIENCE_S)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    skip_without_redis()
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["sqlite", "redis"])
def opened(request, tmp_path):
    """Opens the same store again and again, as processes do."""
    stores: list[HotStore] = []
    if request.param == "redis":
        server = request.getfixturevalue("redis_server")
        url = f"{server.url}?prefix={tmp_path.name[-60:].lstrip('_')}"

        def one() -> HotStore:
            return RedisHot(url)
    else:

        def one() -> HotStore:
            return SqliteHot(tmp_path / "hot.db")

    def open_one() -> HotStore:
        stores.append(one())
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def store(opened):
    return opened()


def test_what_was_put_last_is_what_is_there(store):
    assert store.get("camera/gd-0001") is None
    store.put("camera/gd-0001", b"connecting")
    store.put("camera/gd-0001", b"live")
    assert store.get("camera/gd-0001") == b"live"


def test_bytes_of_any_kind_come_back(store):
    picture = bytes(range(256)) * 300
    store.put("picture/gd-0001", picture)
    store.put("picture/empty", b"")
    assert store.get("picture/gd-0001") == picture
    assert store.get("picture/empty") == b""


def test_another_process_sees_it_at_once(opened):
    writer, reader = opened(), opened()
    assert reader.get("heartbeat/ingest/0") is None
    writer.put("heartbeat/ingest/0", b"alive")
    assert reader.get("heartbeat/ingest/0") == b"alive"


def test_a_scan_gives_the_prefix_alone_in_order(store):
    for key in ("camera/b", "camera/a", "camera/路口", "cameras", "picture/a", "camera*", "Camera/a"):
        store.put(key, key.encode())
    assert list(store.scan("camera/")) == [(key, key.encode()) for key in ("camera/a", "camera/b", "camera/路口")]
    assert [key for key, _ in store.scan("camera*")] == ["camera*"]
    assert [key for key, _ in store.scan("nothing/")] == []
    assert len(list(store.scan(""))) == 7


def test_a_scan_may_go_on_while_others_write(opened):
    store, other = opened(), opened()
    for number in range(3):
        store.put(f"camera/{number}", b"live")
    seen = []
    for key, _ in store.scan("camera/"):
        other.put("camera/0", b"lost")
        seen.append(key)
    assert seen == ["camera/0", "camera/1", "camera/2"]


def test_what_has_expired_is_gone_and_what_was_put_again_is_not(store):
    store.put("heartbeat/a", b"1", ttl=timedelta(milliseconds=40))
    store.put("heartbeat/b", b"1", ttl=timedelta(milliseconds=40))
    store.put("heartbeat/b", b"2")
    store.put("heartbeat/c", b"1", ttl=timedelta(hours=1))
    until = SystemClock().monotonic() + 5
    while store.get("heartbeat/a") is not None and SystemClock().monotonic() < until:
        time.sleep(0.01)
    assert list(store.scan("heartbeat/")) == [("heartbeat/b", b"2"), ("heartbeat/c", b"1")]


# -- one SQLite file, many processes ----------------------------------------------------------------------------------


def test_expiry_follows_the_clock(tmp_path):
    clock = ManualClock(EIGHT)
    store = SqliteHot(tmp_path / "hot.db", clock=clock)
    store.put("heartbeat/a", b"alive", ttl=timedelta(seconds=5))
    clock.advance(timedelta(seconds=4.9))
    assert store.get("heartbeat/a") == b"alive"
    clock.advance(timedelta(seconds=0.1))
    assert store.get("heartbeat/a") is None
    store.close()


def _overwrite(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)


def _truncate(path: Path) -> None:
    path.write_bytes(b"")


def _damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100 : len(content)] = b"\xff" * (len(content) - 100)
    path.write_bytes(bytes(content))


def _delete(path: Path) -> None:
    path.unlink()


def _delete_all(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


@pytest.mark.parametrize("break_it", [_overwrite, _truncate, _damage, _delete, _delete_all])
@pytest.mark.parametrize("while_open", [True, False])
def test_a_lost_or_broken_file_is_begun_anew(tmp_path, break_it, while_open):
    path = tmp_path / "hot.db"
    first, second = SqliteHot(path), SqliteHot(path)
    for number in range(50):
        first.put(f"picture/{number}", bytes(3000))
    second.get("picture/1")
    if not while_open:
        first.close()
        second.close()
    break_it(path)
    for number in range(50):
        first.put(f"picture/{number}", b"fresh")
        second.put(f"camera/{number}", b"fresh")
    list(second.scan("picture/"))
    first.put("picture/last", b"fresh")
    assert second.get("picture/last") == b"fresh"
    assert first.get("camera/49") == b"fresh"
    first.close()
    second.close()


def test_processes_that_write_while_the_file_is_taken_away_go_on_together(tmp_path):
    path = tmp_path / "hot.db"
    script = (
        "import sys; from pathlib import Path; from citybrain.hot.sqlite import SqliteHot\n"
        "store = SqliteHot(Path(sys.argv[1]))\n"
        "number, enough = 0, Path(sys.argv[3])\n"
        "while number < 600 or not enough.exists():\n"
        "    number += 1\n"
        "    store.put(f'camera/{sys.argv[2]}/{number % 600}', bytes(2000)); store.get('camera/0/1')\n"
        "store.put(f'done/{sys.argv[2]}', b'1')\n"
    )
    command, enough = [sys.executable, "-c", script, str(path)], tmp_path / "enough"
    writers = [subprocess.Popen([*command, str(number), str(enough)]) for number in range(3)]

    def take_away() -> bool:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            return True
        return False

    for _ in range(10):
        until(take_away)
        time.sleep(0.03)
    enough.touch()
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    store = SqliteHot(path)
    store.put("camera/after", b"live")
    assert store.get("camera/after") == b"live"
    store.close()


def test_a_place_that_cannot_be_written_is_told_once_and_fails_nobody(tmp_path, caplog):
    (tmp_path / "folder").write_text("a file where the folder should be")
    store = SqliteHot(tmp_path / "folder" / "hot.db")
    for _ in range(3):
        store.put("camera/a", b"live")
        assert store.get("camera/a") is None
        assert list(store.scan("camera/")) == []
    assert len([record for record in caplog.records if "cannot be used" in record.getMessage()]) == 1


# -- Redis that goes and comes back -----------------------------------------------------------------------------------

SOON = timedelta(milliseconds=20)


@pytest.fixture
def server(tmp_path):
    """A redis-server of this test's own: it may be killed."""
    skip_without_redis()
    made = RedisServer(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def hot(server):
    made = RedisHot(server.url, first_pause=SOON)
    yield made
    made.close()


def test_while_redis_is_gone_it_is_as_if_empty_and_it_comes_back_by_itself(server, hot, caplog):
    caplog.set_level("INFO")
    hot.put("camera/a", b"live")
    assert hot.get("camera/a") == b"live"
    assert hot.away_since() is None
    server.kill()
    for _ in range(3):
        hot.put("camera/a", b"lost")
        assert hot.get("camera/a") is None
        assert list(hot.scan("")) == []
    assert hot.away_since() is not None
    server.start()
    until(lambda: hot.away_since() is None)
    hot.put("camera/a", b"live again")
    assert list(hot.scan("camera/")) == [("camera/a", b"live again")]
    told = [record.getMessage() for record in caplog.records if record.name == "citybrain.hot.redis"]
    assert len(told) == 2
    assert "does not answer" in told[0]
    assert "answers again" in told[1]
    assert "s3cret" not in caplog.text


def test_a_redis_that_hangs_is_waited_for_once_and_then_by_nobody(server, impatient, hot):
    until(lambda: hot.put("camera/a", b"live") or hot.get("camera/a") == b"live")
    server.freeze()
    first_s = time.monotonic()
    assert hot.get("camera/a") is None
    waited_s = time.monotonic() - first_s
    assert waited_s >= 0.4  # it was given its half second: not an error of another kind
    for _ in range(200):
        hot.put("camera/a", b"lost")
        assert hot.get("camera/a") is None
    assert hot.away_since() is not None
    assert time.monotonic() - first_s < 20 * waited_s  # 400 questions, each of which would have waited as long
    server.thaw()
    until(lambda: hot.put("camera/a", b"live again") or hot.get("camera/a") == b"live again")
    assert hot.away_since() is None


def test_a_gone_redis_is_not_asked_for_each_look(impatient):
    pytest.importorskip("redis", reason="the package redis is not installed (pip install 'citybrain[redis]')")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(16)
        taken.settimeout(0)
        store = RedisHot(f"redis://127.0.0.1:{taken.getsockname()[1]}", first_pause=timedelta(hours=1))
        store.get("camera/a")
        asked = _connections(taken)
        for _ in range(20):
            store.get("camera/a")
        assert asked > 0
        assert _connections(taken) == 0
        store.close()


def test_many_threads_share_a_store(hot):
    wrong: list[str] = []

    def work(n: int) -> None:
        for turn in range(50):
            hot.put(f"camera/{n}", b"%d" % turn)
            if hot.get(f"camera/{n}") != b"%d" % turn:
                wrong.append(f"{n}: {turn}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []
    assert len(list(hot.scan("camera/"))) == 12


def test_cities_on_one_redis_see_nothing_of_each_other(server):
    north, south = (RedisHot(f"{server.url}?prefix={name}") for name in ("north", "south"))
    heard = threading.Event()
    end = south.listen("case-events", heard.set)
    until(heard.is_set)
    heard.clear()
    north.put("camera/a", b"live")
    north.tell("case-events")
    assert south.get("camera/a") is None
    assert list(south.scan("camera/")) == list(south.scan("")) == []
    assert [key for key, _ in north.scan("")] == ["camera/a"]
    assert not heard.wait(0.2)
    south.tell("case-events")
    assert heard.wait(10)
    end()
    north.close()
    south.close()


def test_a_word_is_heard_again_when_redis_is_back(server, hot):
    heard = threading.Event()
    end = hot.listen("case-events", heard.set)
    until(heard.is_set)
    server.kill()
    heard.clear()
    server.start()
    until(heard.is_set)  # once, for what was said meanwhile
    heard.clear()

    def hears() -> bool:
        hot.tell("case-events")
        return heard.wait(0.1)

    until(hears)
    end()


def test_what_has_expired_leaves_no_name_behind(hot):
    hot.put("watched/a", b"1", ttl=timedelta(milliseconds=1))
    hot.put("watched/b", b"1", ttl=timedelta(hours=1))
    until(lambda: [key for key, _ in hot.scan("watched/")] == ["watched/b"])
    assert hot._redis.smembers("citybrain:group:watched") == {b"watched/b"}


def test_a_wrong_password_is_told_once_without_it(server, caplog):
    store = RedisHot(f"redis://:wr0ng@127.0.0.1:{server.port}/0", first_pause=timedelta(hours=1))
    store.put("camera/a", b"live")
    assert store.get("camera/a") is None
    assert "Authentication" in caplog.text
    assert "wr0ng" not in caplog.text
    store.close()


def test_by_tls_it_is_asked_only_where_its_certificate_is_one_that_we_trust(tmp_path, caplog):
    skip_without_redis()
    server = RedisServer(tmp_path, tls=True)
    server.start()
    trusting = RedisHot(f"{server.url}?ssl_ca_certs={server.certificate}", first_pause=SOON)
    strict = RedisHot(server.url, first_pause=timedelta(hours=1))
    trusting.put("camera/a", b"live")
    until(lambda: trusting.away_since() is None)
    trusting.put("camera/a", b"live")
    assert trusting.get("camera/a") == b"live"
    assert strict.get("camera/a") is None
    assert strict.away_since() is not None
    assert "s3cret" not in caplog.text
    for each in (trusting, strict):
        each.close()
    server.kill()


def test_a_password_may_come_from_the_environment_alone(server, tmp_path):
    store = open_hot(
        f"redis://127.0.0.1:{server.port}/0", tmp_path / "hot.db", environment={"CITYBRAIN_HOT_PASSWORD": "s3cret"}
    )
    store.put("camera/a", b"live")
    assert store.get("camera/a") == b"live"
    store.close()


def test_without_an_address_it_is_a_file_of_this_machine(tmp_path):
    assert isinstance(open_hot(None, tmp_path / "hot.db", environment={"CITYBRAIN_HOT_PASSWORD": "x"}), SqliteHot)


@pytest.mark.parametrize(
    "url",
    [
        "http://:s3cret@example.org/",
        "redis://:s3cret@/0",
        "redis://:s3cret@example.org:99999/0",
        "redis://:s3cret@example.org:port/0",
        "redis://:s3cret@example.org/0?prefix=a b",
        "redis://:s3cret@example.org/0?socket_timeout=60",
        "redis://:s3cret@[example.org/0",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(url):
    with pytest.raises(UsageError, match=r"redis://host:6379/0|prefix|no option") as refused:
        RedisHot(url)
    assert "s3cret" not in str(refused.value)


def test_an_address_is_shown_without_its_password():
    read = Address.read("rediss://city:s3cret@redis.example:6380/2?prefix=kunming&ssl_ca_certs=/ca.pem")
    assert read.url == "rediss://city:s3cret@redis.example:6380/2?ssl_ca_certs=%2Fca.pem"
    assert (read.prefix, read.shown) == ("kunming", "rediss://redis.example:6380/2?prefix=kunming")
    assert Address.read("redis://city@redis.example", password="p@ss/w").url == "redis://city:p%40ss%2Fw@redis.example"


def _connections(listening: socket.socket) -> int:
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            connection, _ = listening.accept()
            connection.close()
            count += 1
    return count
