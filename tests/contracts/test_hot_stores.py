"""Every HotStore shows what is fresh, forgets what has expired, and never fails the one who asks."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from citybrain.clock import ManualClock, SystemClock
from citybrain.errors import UsageError
from citybrain.hot.redis import RedisHot
from citybrain.hot.sqlite import SqliteHot
from citybrain.ports import HotStore

EIGHT = datetime(2026, 11, 21, 8, tzinfo=UTC)


class Server:
    """A real redis-server on a port of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"redis://:s3cret@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--requirepass",
            "s3cret",
        ]
        self._process = subprocess.Popen(
            ["redis-server", *options, "--dir", str(self._folder)], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as asked:
                asked.sendall(b"PING\r\n")
                if asked.recv(64):
                    return
            time.sleep(0.02)
        raise TimeoutError(f"redis-server did not answer on port {self.port} within 10 s")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    pytest.importorskip("redis", reason="the package redis is not installed (pip install 'citybrain[redis]')")
    server = Server(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["sqlite", "redis"])
def opened(request, tmp_path):
    """Opens the same store again and again, as processes do."""
    stores: list[HotStore] = []
    if request.param == "redis":
        server = request.getfixturevalue("redis_server")
        prefix = f"{tmp_path.name}:"

        def one() -> HotStore:
            return RedisHot(server.url, prefix=prefix)
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
        "for number in range(600): store.put(f'camera/{sys.argv[2]}/{number}', bytes(2000)); store.get('camera/0/1')\n"
        "store.put(f'done/{sys.argv[2]}', b'1')\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(path), str(number)]) for number in range(3)]
    taken = 0
    while any(writer.poll() is None for writer in writers):
        if taken < 10 and path.exists():
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                taken += 1
        time.sleep(0.03)
    assert taken > 0
    assert [writer.returncode for writer in writers] == [0, 0, 0]
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


def test_while_redis_is_gone_it_is_as_if_empty_and_it_comes_back_by_itself(redis_server, tmp_path, caplog):
    caplog.set_level("INFO")
    clock = ManualClock(EIGHT)
    server = Server(tmp_path)
    server.start()
    store = RedisHot(server.url, prefix="gone:", clock=clock)
    try:
        store.put("camera/a", b"live")
        assert store.get("camera/a") == b"live"
        server.kill()
        for _ in range(3):
            store.put("camera/a", b"lost")
            assert store.get("camera/a") is None
            assert list(store.scan("")) == []
            clock.advance(timedelta(seconds=2))
        server.start()
        store.put("camera/a", b"live again")
        assert store.get("camera/a") == b"live again"
    finally:
        store.close()
        server.kill()
    told = [record.getMessage() for record in caplog.records if record.name == "citybrain.hot.redis"]
    assert len(told) == 2
    assert "does not answer" in told[0]
    assert "answers again" in told[1]
    assert "s3cret" not in caplog.text


def test_a_gone_redis_is_not_asked_for_each_look(tmp_path):
    pytest.importorskip("redis", reason="the package redis is not installed (pip install 'citybrain[redis]')")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(16)
        taken.settimeout(0)
        store = RedisHot(f"redis://127.0.0.1:{taken.getsockname()[1]}", clock=ManualClock(EIGHT))
        store.get("camera/a")
        asked = _connections(taken)
        for _ in range(20):
            store.get("camera/a")
        assert asked > 0
        assert _connections(taken) == 0
        store.close()


def _connections(listening: socket.socket) -> int:
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            connection, _ = listening.accept()
            connection.close()
            count += 1
    return count


def test_a_wrong_password_is_told_once_without_it(redis_server, caplog):
    store = RedisHot(f"redis://:wr0ng@127.0.0.1:{redis_server.port}/0", clock=ManualClock(EIGHT))
    store.put("camera/a", b"live")
    assert store.get("camera/a") is None
    assert "Authentication" in caplog.text
    assert "wr0ng" not in caplog.text
    store.close()


def test_an_address_that_is_none_is_refused_without_its_password():
    pytest.importorskip("redis", reason="the package redis is not installed (pip install 'citybrain[redis]')")
    with pytest.raises(UsageError, match="redis://host:6379/0") as refused:
        RedisHot("http://:s3cret@example.org/")
    assert "s3cret" not in str(refused.value)
