"""One camera's connection, kept open for ever: opened in turns, read into its mailbox, and opened anew when it is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from citybrain.clock import Clock
from citybrain.domain.frame import Frame
from citybrain.errors import CameraGone, CityBrainError
from citybrain.ports import CloserSource
from ingest.config import CameraSettings, build, paced_by_looks
from ingest.secrets import scrubbed
from ingest.turns import Turns
from ingest.watched import Watched

log = logging.getLogger(__name__)

_BACKSTOP_S = 30.0  # beyond every limit that a source keeps itself


class Connecting:
    """The connections of one process. `arrived` is told of each frame, `lost` of each connection that is gone."""

    def __init__(
        self, *, turns: Turns, clock: Clock, arrived: Callable[[Watched], None], lost: Callable[[Watched], None]
    ) -> None:
        self._turns, self._clock, self._arrived, self._lost = turns, clock, arrived, lost

    async def keep_open(self, each: Watched) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._turns.wait(self._clock.monotonic()))
            gone = await self._until_gone(each)
            each.left()
            self._lost(each)
            changed = each.state.reason != gone.reason
            each.state.failed(gone.reason, self._clock.now())
            wait = each.backoff.wait()
            level = logging.WARNING if changed else logging.DEBUG
            log.log(level, "camera %s at %s: %s; again in %.1f s", each.state.id, each.settings.masked_url, gone, wait)
            await asyncio.sleep(wait)
            each.state.reconnects += 1

    async def _until_gone(self, each: Watched) -> CameraGone:
        try:
            await self._follow(each)
        except CameraGone as gone:
            return gone
        except CityBrainError as error:
            return CameraGone("source fault", type(error).__name__)
        except Exception as error:  # noqa: BLE001  # one camera's outermost loop: its fault is not the others'
            said = scrubbed(f"{type(error).__name__}: {error}", each.settings.url.get_secret_value())
            return CameraGone("source fault", said)
        return CameraGone("ended")

    async def _follow(self, each: Watched) -> None:
        state = each.state
        limit = _BACKSTOP_S + 3 * each.settings.look_every.total_seconds()
        each.readable()
        source = build(each.settings)
        each.source = source if isinstance(source, CloserSource) else None
        async with aclosing(source.frames()) as frames:  # type: ignore[type-var]  # ports say iterator
            while True:
                try:
                    async with asyncio.timeout(limit):
                        frame: Frame = await anext(frames)
                except TimeoutError:
                    raise CameraGone("silent") from None
                except StopAsyncIteration:
                    return
                if state.codec and state.codec != frame.codec:
                    log.warning("camera %s: codec changed from %s to %s", state.id, state.codec, frame.codec)
                state.codec, state.clock_ok = frame.codec, frame.clock_ok
                state.through = getattr(source, "through", each.settings.source)
                state.opened()
                each.mailbox.put(frame)
                state.overtaken = each.mailbox.overtaken
                self._arrived(each)
                if each.hopeless(self._clock.monotonic()):
                    raise CameraGone("no picture", "opened anew")


def opens_otherwise(was: CameraSettings, now: CameraSettings) -> bool:
    """Whether a connection that is open gives something else than the new settings ask for."""
    if (was.source, was.url) != (now.source, now.url):
        return True
    return was.look_every != now.look_every and paced_by_looks(now)
