"""The demo city's footage: timelines in, pictures, exact labels and clips out."""

from citybrain.demo.footage_clip import Progress, build, clip_path, encode
from citybrain.demo.footage_picture import Box, boxes_at, compose
from citybrain.demo.footage_timeline import Timeline, load

__all__ = ["Box", "Progress", "Timeline", "boxes_at", "build", "clip_path", "compose", "encode", "load"]
