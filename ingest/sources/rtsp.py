"""A live stream by its address: RTSP, RTMP or HTTP."""

from __future__ import annotations

from ingest.sources.libav import Config, Libav, build

__all__ = ["Config", "Libav", "build"]
