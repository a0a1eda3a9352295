"""Tells a receiver about a case by HTTP: the CloudEvent, signed as Standard Webhooks say."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from citybrain import signing
from citybrain.clock import Clock, SystemClock
from citybrain.configuration import Duration, Section
from citybrain.delivery.webhook import CONTENT_TYPE, Post
from citybrain.netguard import Allowed, Guard, HttpUrl
from citybrain.ports import Acknowledgement, Outgoing


def _check_secret(secret: SecretStr) -> SecretStr:
    signing.check_secret(secret.get_secret_value())
    return secret


Secret = Annotated[SecretStr, AfterValidator(_check_secret)]


class Config(Section):
    """`allow` names where the URL may lead beside public addresses: loopback, link-local, private, or 10.1.0.0/16.

    `previous_secret` signs too while a secret is being exchanged.
    """

    url: HttpUrl
    secret: Secret
    previous_secret: Secret | None = None
    timeout: Duration = Field(default=timedelta(seconds=10), gt=timedelta(0), le=timedelta(minutes=1))
    allow: Allowed = ()
    content_type: str = CONTENT_TYPE


class Webhook:
    """A Notifier; what an answer means is said where it is posted, in citybrain/delivery/webhook.py."""

    def __init__(self, config: Config, *, clock: Clock) -> None:
        self._secrets = [
            each.get_secret_value() for each in (config.secret, config.previous_secret) if each is not None
        ]
        self._post = Post(
            config.url,
            guard=Guard(config.allow),
            timeout=config.timeout,
            clock=clock,
            content_type=config.content_type,
        )

    async def notify(self, outgoing: Outgoing) -> Acknowledgement:
        return await self._post.send(outgoing, self._secrets)

    async def close(self) -> None:
        await self._post.close()


def build(config: Config, *, clock: Clock | None = None) -> Webhook:
    return Webhook(config, clock=clock or SystemClock())
