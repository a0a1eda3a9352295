"""A real server that speaks S3: OpenStack Swift, all of it in one process on this machine, which can be killed and started again.

What it holds lies on the disk: killed and started, it has everything. It has no lifecycle rules, tags or object lock.

    python tests/object_storage.py FOLDER PORT    the server itself
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

BUCKET = "city-evidence"
CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "city:keeper",
    "AWS_SECRET_ACCESS_KEY": "s3cret-of-the-storage",
    "AWS_EC2_METADATA_DISABLED": "true",
}

_KINDS = ("account", "container", "object")
_SERVER = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/disks
mount_check = false
disable_fallocate = true
log_level = ERROR
log_address = {folder}/no-log
log_udp_host =
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
_PROXY = """
[DEFAULT]
swift_dir = {folder}
log_level = ERROR
log_address = {folder}/no-log
[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats s3api tempauth copy proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
allow_multipart_uploads = false
[filter:tempauth]
use = egg:swift#tempauth
user_city_keeper = s3cret-of-the-storage .admin
[filter:copy]
use = egg:swift#copy
"""


class ObjectStorage:
    """One bucket in it, made at the first start."""

    def __init__(self, folder: Path) -> None:
        from bench.ports import free_port  # not at the top: the server itself is started without the tests' path

        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}?endpoint={self.endpoint}&region=us-east-1"

    def start(self) -> None:
        with (self._folder / "server.log").open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(self._folder), str(self.port)], stdout=said, stderr=said
            )
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        raise TimeoutError((self._folder / "server.log").read_text()[-2000:])

    def make_bucket(self, name: str = BUCKET) -> None:
        self.client().create_bucket(Bucket=name)

    def client(self):
        """The library's own client, to look at what lies there."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def freeze(self) -> None:
        """It takes connections, for the kernel does, and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _serve(folder: Path, port: int) -> None:
    from swift.common import utils

    utils.monkey_patch()
    import eventlet
    from eventlet import wsgi
    from swift.common.ring import RingBuilder
    from swift.common.wsgi import SwiftHttpProtocol, loadapp

    (folder / "disks" / "d1").mkdir(parents=True, exist_ok=True)
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = of-a-test\n")
    utils.set_swift_dir(str(folder))
    utils.validate_configuration()
    listening = {kind: eventlet.listen(("127.0.0.1", 0)) for kind in _KINDS}
    for kind, bound in listening.items():
        ring = RingBuilder(4, 1, 0)
        ring.add_dev(
            {
                "id": 0,
                "zone": 1,
                "region": 1,
                "weight": 1.0,
                "ip": "127.0.0.1",
                "port": bound.getsockname()[1],
                "device": "d1",
            }
        )
        ring.rebalance()
        ring.get_ring().save(str(folder / f"{kind}.ring.gz"))
    user = pwd.getpwuid(os.getuid()).pw_name
    quiet = {"log_name": "swift", "user": user, "log_format": ""}
    with (folder / "requests.log").open("a") as requests:
        for kind, bound in listening.items():
            path = folder / f"{kind}-server.conf"
            path.write_text(_SERVER.format(folder=folder, kind=kind))
            app = loadapp(str(path), quiet)
            eventlet.spawn(wsgi.server, bound, app, requests, protocol=SwiftHttpProtocol)
        path = folder / "proxy-server.conf"
        path.write_text(_PROXY.format(folder=folder))
        app = loadapp(str(path), quiet)
        front = eventlet.listen(("127.0.0.1", port))  # not before it can answer
        wsgi.server(front, app, requests, protocol=SwiftHttpProtocol)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]))
