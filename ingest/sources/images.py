"""A folder of JPEG or PNG pictures as a camera: one each `look_every`, captured then or when their names say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import SecretStr

from citybrain.clock import Clock, SystemClock
from citybrain.configuration import Duration, Section
from citybrain.domain.frame import Frame
from citybrain.errors import CameraGone, Unreadable
from ingest.footage import image_files, image_frame, instant_of

PACED_BY_LOOKS = True


class Config(Section):
    camera: str
    url: SecretStr
    look_every: Duration = timedelta(seconds=1)


def build(config: Config) -> Images:
    return Images(config, clock=SystemClock())


class Images:
    """The source. Pictures whose names are instants come `look_every` apart all the same, captured when they say."""

    def __init__(self, config: Config, *, clock: Clock) -> None:
        parts = urlsplit(config.url.get_secret_value())
        self._folder = Path(unquote(parts.path))
        self._loop = parse_qs(parts.query).get("loop", ["0"])[-1] not in ("0", "", "false", "no")
        self._camera, self._every, self._clock = config.camera, config.look_every, clock

    async def frames(self) -> AsyncGenerator[Frame, None]:
        start, index = self._clock.now(), 0
        while True:
            for path in self._files():
                due = start + index * self._every
                wait = (due - self._clock.now()).total_seconds()
                if wait > 0:
                    await asyncio.sleep(wait)
                # A second round cannot happen at the instants of the first: time goes on, whatever the names say.
                named = None if self._loop else instant_of(path)
                try:
                    frame = await asyncio.to_thread(image_frame, path, camera=self._camera, captured_at=named or due)
                except Unreadable as error:
                    raise CameraGone("unreadable", str(error)) from None
                yield replace(frame, received_at=max(due, self._clock.now()))
                index += 1
            if not self._loop:
                raise CameraGone("ended", "that was the last picture")

    def _files(self) -> list[Path]:
        try:
            return image_files(self._folder)
        except (OSError, Unreadable):
            raise CameraGone("no such file", "no .jpg or .png in the folder") from None
