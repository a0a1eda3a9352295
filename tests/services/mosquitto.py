"""A real Mosquitto on a free port of this machine, with a password, that keeps its sessions over a restart."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from paho.mqtt import publish
from paho.mqtt.enums import MQTTProtocolVersion

from bench.ports import free_port

PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
USER, PASSWORD = "citybrain", "pass word/+1"


class Mosquitto:
    """Started and stopped as often as a test likes, always at the same address."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        passwords = folder / "passwords"
        subprocess.run(
            ["mosquitto_passwd", "-b", "-c", str(passwords), USER, PASSWORD], check=True, capture_output=True
        )
        self._config = folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous false",
            f"password_file {passwords}",
            "persistence true",
            f"persistence_location {folder}/",
            *(["user root"] if os.geteuid() == 0 else []),
        ]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert PROGRAM is not None
        self._process = subprocess.Popen([PROGRAM, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            except ConnectionRefusedError:
                assert self._process.poll() is None
                time.sleep(0.01)
            else:
                return

    def stop(self) -> None:
        """Politely: it writes down what it keeps for those who are away."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None

    def tell(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        """What a sensor does: one message of QoS 1; it is with the broker when this returns."""
        publish.single(
            topic,
            payload,
            qos=1,
            retain=retain,
            hostname="127.0.0.1",
            port=self.port,
            auth={"username": USER, "password": PASSWORD},
            protocol=MQTTProtocolVersion.MQTTv311,
        )
