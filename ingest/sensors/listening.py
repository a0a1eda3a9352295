"""One conversation with an MQTT broker: subscribed for good (QoS 1, a session that lasts), and a message is acknowledged when
it has been dealt with, so that what is on its way when we die comes again."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ingest.sensors.config import Broker

KEEPALIVE_S = 30
CONNECT_S = 5.0
_STEP_S = 0.2

Handle = Callable[[str, bytes, bool], None]
"""Deals with a message: topic, payload, whether the broker had it retained. What it raises leaves the message unacknowledged."""

log = logging.getLogger(__name__)


class Conversation:
    """From connecting to the loss of the connection. paho acknowledges when its callback has returned: `handle` is called there."""

    def __init__(self, broker: Broker, topics: Sequence[str], *, client: str, handle: Handle) -> None:
        self.connected = False
        self.reason = ""
        self._broker, self._topics, self._handle = broker, sorted(set(topics)), handle
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=client, clean_session=False, protocol=MQTTProtocolVersion.MQTTv311
        )
        self._client.connect_timeout = CONNECT_S
        if broker.user is not None:
            password = None if broker.password is None else broker.password.get_secret_value()
            self._client.username_pw_set(broker.user, password)
        if broker.tls:
            self._client.tls_set_context(ssl.create_default_context(cafile=broker.ca))
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect

    def open(self) -> bool:
        """Connect; false with a `reason` when that cannot be. Whether we are let in is known some steps later."""
        try:
            self._client.connect(self._broker.host, self._broker.port, keepalive=KEEPALIVE_S)
        except (OSError, ValueError) as error:  # unreachable, no such name, no TLS there
            self.reason = f"{type(error).__name__}: {error}"
            return False
        return True

    def step(self) -> bool:
        """Deal with what comes within a moment; false when the connection is lost. Raises what `handle` raised."""
        code = self._client.loop(timeout=_STEP_S)
        if code is MQTTErrorCode.MQTT_ERR_SUCCESS:
            return True
        self.connected = False
        self.reason = self.reason or code.name.removeprefix("MQTT_ERR_").lower().replace("_", " ")
        return False

    def close(self) -> None:
        """Say goodbye; the broker keeps what comes from now on."""
        self.connected = False
        self._client.disconnect()

    def drop(self) -> None:
        """Hang up without a word: what was not acknowledged comes again."""
        self.connected = False
        connection = self._client.socket()
        if connection is not None:
            connection.close()

    def _on_connect(
        self, client: Client, _: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self.reason = str(reason).lower()
            return
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_subscribe(
        self, client: Client, _: Any, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        refused = [topic for topic, reason in zip(self._topics, reasons, strict=False) if reason.is_failure]
        if refused:
            log.error("the broker lets nobody listen to %s", ", ".join(refused[:5]))
        self.connected, self.reason = True, ""

    def _on_message(self, client: Client, _: Any, message: MQTTMessage) -> None:
        self._handle(message.topic, bytes(message.payload), message.retain)

    def _on_disconnect(
        self, client: Client, _: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self.connected = False
        self.reason = self.reason or str(reason).lower()
