"""A small set of clips made by code, for a detector that is scripted by colours: what is red burns, what is green is a car."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

CAMERAS = """cameras:
  - id: yard
    name: a yard that catches fire
    url: images:yard
  - id: kerb
    name: a car that stands
    url: file:kerb.mp4
    zones: [{id: kerb, kind: no_parking, polygon: [[0, 0], [1, 0], [1, 1], [0, 1]]}]
  - id: street
    name: a street in which nothing happens
    url: file:street.mp4
"""
TRUTH = """within: {burning: 10s}
shipped: live
clips:
  yard:
    events: [{scene: burning, from: 10}]
    stills: {each: 10s}
    disturbances: &grain {noise: {seed: 1, strength: 0.3}}
  kerb:
    events: [{scene: standing, zone: kerb, from: 0, to: 12}]
  street:
    events: []
    judged_by: shipped
    looped: {lasts: 30s}
    disturbances: *grain
"""
SCENE = """id: {id}
title: {{zh: {zh}, en: {id}}}
status: live
rule: {rule}
{zone}when: {{labels: [{label}]}}
hold: {hold}
max_gap: 4s
clear_after: 1m
case: {{code: "04-11", unit: fire, deadline: 10m}}
tests:
  - {{name: it lasts, every: 1s, looks: {label} x20, expect: [begins {hold}]}}
  - {{name: it passes, every: 1s, looks: {label} x1 none x10}}
"""
RED, GREEN = (0, 0, 255), (0, 255, 0)


def written(folder: Path, *, truth: str = TRUTH, cameras: str = CAMERAS) -> Path:
    """The set in a folder: fires are told after 3 s by its own scenes and after 6 s by those in `live`, cars after 4 and 8."""
    (folder / "yard").mkdir(parents=True)
    for each, fire, car in ((folder, "3s", "4s"), (folder / "live", "6s", "8s")):
        scenes = each / "scenes" if each == folder else each
        scenes.mkdir()
        burning = SCENE.format(id="burning", zh="烟火", rule="presence", zone="", label="fire", hold=fire)
        standing = SCENE.format(
            id="standing", zh="停放", rule="dwell", zone="zone_kind: no_parking\n", label="car", hold=car
        )
        (scenes / "burning.yaml").write_text(burning, encoding="utf-8")
        (scenes / "standing.yaml").write_text(standing, encoding="utf-8")
    (folder / "detectors").mkdir()
    (folder / "detectors" / "city.yaml").write_text("backend: scripted\n")
    (folder / "cameras.yaml").write_text(cameras)
    (folder / "truth.yaml").write_text(truth)
    cv2.imwrite(str(folder / "yard" / "0.png"), street(seed=1))
    cv2.imwrite(str(folder / "yard" / "1.png"), street(RED, seed=1))
    filmed(folder / "kerb.mp4", [street(GREEN, seed=2, look=n) for n in range(24)])
    filmed(folder / "street.mp4", [street(seed=3, look=n) for n in range(16)])
    return folder


def street(colour: tuple[int, int, int] | None = None, *, seed: int = 0, look: int = 0) -> np.ndarray:
    """A grey street of blocks, never twice the same, with a rectangle of one colour (BGR)."""
    coarse = np.random.default_rng(seed).integers(90, 200, (12, 20, 1))
    image = np.repeat(np.repeat(np.repeat(coarse, 16, 0), 16, 1), 3, 2).astype(np.float32)
    image += np.random.default_rng(1000 * seed + look).normal(0, 3, image.shape)
    image = np.clip(image, 0, 255).astype(np.uint8)
    if colour is not None:
        cv2.rectangle(image, (120, 80), (200, 140), colour, -1)
    return image


def filmed(path: Path, images: list[np.ndarray], *, rate: int = 2) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "bf": "0"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, rate)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
