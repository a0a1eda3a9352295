"""The demo city's footage: checked timelines, pictures and boxes that agree, clips that a camera could have sent."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.demo.footage import Timeline, boxes_at, build, compose, load
from citybrain.demo.footage_timeline import value_at
from citybrain.errors import ConfigError, Unreadable

SHIPPED = Path(__file__).parents[3] / "configs" / "demo" / "footage"

TOY = """
about: A red square drives from left to right over a grey plain, 100 pixels below it to the metre.
seconds: 10
seed: 7
noise: 2
scene: {}
cast:
  square: {label: car, make: {}, track: [[-2, 10], [2, 10]]}
  wall: {label: truck, make: {}, track: [[0, 5]]}
actors:
  - {cast: square, drive: [[1, 0], [9, 4]]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A camera at the origin, looking along +y, one metre at 10 m being 10 pixels; two cut-outs of plain colour."""
    art = tmp_path / "art" / "toy"
    art.mkdir(parents=True)
    (tmp_path / "toy.yaml").write_text(TOY, encoding="utf-8")
    cv2.imwrite(str(art / "plate.jpg"), np.full((96, 128, 3), 120, np.uint8))
    for name, side, colour in (("square", 10, (0, 0, 255)), ("wall", 60, (0, 255, 0))):
        cv2.imwrite(str(art / f"{name}.webp"), np.full((side, side, 4), (*colour, 255), np.uint8))
    described = {
        "matrix": [[100, 64, 0, 0], [0, 48, -100, 0], [0, 1, 0, 0]],
        "flooded": False,
        "cut_outs": {
            "square": [{"along": 2, "depth": 10, "atlas": [0, 0, 10, 10], "foot": [5, 10], "box": [0, 0, 10, 10]}],
            "wall": [{"along": 0, "depth": 5, "atlas": [0, 0, 60, 60], "foot": [30, 30], "box": [0, 0, 60, 60]}],
        },
    }
    (art / "art.json").write_text(json.dumps(described), encoding="utf-8")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "toy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_car_is_drawn_where_its_label_says(folder: Path) -> None:
    timeline = load(folder / "toy.yaml")
    for at in (2.0, 5.0, 7.5):
        ((label, (x0, y0, x1, y1)),) = boxes_at(timeline, at)
        picture = compose(timeline, at=at).astype(int)
        red = np.argwhere((picture[:, :, 2] - picture[:, :, 0]) > 100)
        (top, left), (bottom, right) = red.min(0), red.max(0) + 1
        assert label == "car"
        assert np.allclose((x0 * 128, y0 * 96, x1 * 128, y1 * 96), (left, top, right, bottom), atol=1.5)


def test_a_car_is_on_the_street_only_while_it_drives_there(folder: Path) -> None:
    timeline = load(folder / "toy.yaml")
    assert [label for label, _ in boxes_at(timeline, 0.5)] == []
    assert [label for label, _ in boxes_at(timeline, 5)] == ["car"]
    assert [label for label, _ in boxes_at(timeline, 9.5)] == []


def test_what_stands_nearer_hides_what_is_behind_it(folder: Path) -> None:
    timeline = load(write(folder, TOY + "  - {cast: wall, drive: [[0, 0], [10, 0]]}\n"))
    assert [label for label, _ in boxes_at(timeline, 5)] == ["truck"]
    picture = compose(timeline, at=5).astype(int)
    assert not ((picture[:, :, 2] - picture[:, :, 1]) > 60).any()


def test_a_dark_camera_shows_nothing_and_labels_nothing(folder: Path) -> None:
    timeline = load(write(folder, TOY + "effects:\n  - {kind: dark, level: [[3, 0], [4, 1], [6, 1], [7, 0]]}\n"))
    assert compose(timeline, at=5).mean() < 8
    assert boxes_at(timeline, 5) == []
    assert compose(timeline, at=8).mean() > 90
    assert len(boxes_at(timeline, 8)) == 1


def test_fire_is_bright_and_gone_when_it_is_out(folder: Path) -> None:
    strength = "[[2, 0], [3, 1], [6, 1], [7, 0]]"
    burning = f"effects:\n  - {{kind: fire, at: [0, 10, 0], width: 2, height: 3, strength: {strength}}}\n"
    timeline = load(write(folder, TOY.replace("[[1, 0], [9, 4]]", "[[8, 0], [9, 4]]") + burning))
    assert [label for label, _ in boxes_at(timeline, 5)] == ["fire"]
    assert boxes_at(timeline, 1) == []
    assert boxes_at(timeline, 7.5) == []
    ((_, (x0, y0, x1, y1)),) = boxes_at(timeline, 5)
    inside = compose(timeline, at=5)[round(y0 * 96) : round(y1 * 96), round(x0 * 128) : round(x1 * 128)]
    assert inside[:, :, 2].mean() > inside[:, :, 0].mean() + 40


def test_no_two_frames_are_alike_and_the_same_second_is_always_the_same(folder: Path) -> None:
    timeline = load(folder / "toy.yaml")
    assert (compose(timeline, at=0.2) != compose(timeline, at=0.4)).any()
    assert (compose(timeline, at=0.2) == compose(timeline, at=0.2)).all()


@pytest.mark.parametrize(
    ("wrong", "key", "words"),
    [
        (TOY.replace("cast: square, drive", "cast: sqare, drive"), "", "'sqare' is not in the cast: square, wall"),
        (TOY.replace("[[1, 0], [9, 4]]", "[[9, 0], [1, 4]]"), "", "seconds must grow"),
        (TOY.replace("[[1, 0], [9, 4]]", "[[1, 0], [19, 4]]"), "", "after the clip's end"),
        (TOY + "colour: red\n", "colour", "Extra inputs"),
        (TOY.replace("label: car", "label: kar"), "cast.square.label", "'car'"),
        (TOY.replace("seed: 7", ""), "seed", "required"),
        ("- a list", "", "mapping"),
        ("{", "", "cannot be read"),
    ],
)
def test_a_wrong_timeline_names_file_key_and_fault(folder: Path, wrong: str, key: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(write(folder, wrong))
    (fault,) = refused.value.faults
    assert fault.file.endswith("toy.yaml")
    assert fault.key == key
    assert words in fault.message


def test_missing_art_is_named(folder: Path) -> None:
    (folder / "art" / "toy" / "square.webp").unlink()
    with pytest.raises(Unreadable, match=r"square\.webp"):
        compose(load(folder / "toy.yaml"), at=5)


@given(st.lists(st.tuples(st.floats(0.1, 50), st.floats(-100, 100)), min_size=2, max_size=6), st.floats(0, 300))
def test_a_glide_never_overshoots_its_neighbours(steps: list[tuple[float, float]], at: float) -> None:
    knots, second = [], 0.0
    for wait, value in steps:
        second += wait
        knots.append((second, value))
    before = [v for t, v in knots if t <= at][-1:] or [knots[0][1]]
    after = [v for t, v in knots if t >= at][:1] or [knots[-1][1]]
    low, high = min(before + after), max(before + after)
    assert low - 1e-6 <= value_at(knots, at) <= high + 1e-6


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_a_clip_is_what_a_camera_sends(folder: Path, tmp_path: Path, codec: str) -> None:
    write(folder, TOY.replace("seed: 7", f"seed: 7\ncodec: {codec}"))
    said: list[tuple[str, float]] = []
    (clip,) = build(folder, tmp_path / "clips", progress=lambda camera, share: said.append((camera, share)))
    with av.open(str(clip)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert len(packets) == 50
    assert [i for i, packet in enumerate(packets) if packet.is_keyframe] == list(range(0, 50, 5))
    assert [packet.pts for packet in packets] == sorted(packet.dts for packet in packets if packet.dts is not None)
    assert said[-1] == ("toy", 1.0)


def test_a_clip_is_built_again_only_when_something_changed(folder: Path, tmp_path: Path) -> None:
    into = tmp_path / "clips"
    (clip,) = build(folder, into, progress=lambda camera, share: None)
    first = clip.stat().st_mtime_ns
    build(folder, into, progress=lambda camera, share: None)
    assert clip.stat().st_mtime_ns == first
    write(folder, TOY.replace("seed: 7", "seed: 8"))
    build(folder, into, progress=lambda camera, share: None)
    assert clip.stat().st_mtime_ns > first


def test_every_fault_of_every_timeline_is_told_before_anything_is_built(folder: Path, tmp_path: Path) -> None:
    write(folder, TOY.replace("seed: 7", ""))
    (folder / "other.yaml").write_text(TOY, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        build(folder, tmp_path / "clips", progress=lambda camera, share: None)
    assert [Path(fault.file).name for fault in refused.value.faults] == ["other.yaml", "toy.yaml"]


SHIPPED_TIMELINES = sorted(SHIPPED.glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED_TIMELINES, ids=lambda path: path.stem)
def test_a_shipped_camera_has_its_art_and_shows_what_it_labels(path: Path) -> None:
    timeline = load(path)
    for at in np.linspace(0, timeline.seconds - 0.2, 12):
        assert compose(timeline, at=float(at)).shape == (360, 640, 3)
    seen = {label for at in np.arange(0, timeline.seconds, 3.0) for label, _ in boxes_at(timeline, float(at))}
    assert seen >= EXPECTED.get(path.stem, set())


EXPECTED = {
    "kerb-a": {"car", "truck", "person"},
    "kerb-b": {"car", "truck"},
    "flood": {"water", "car"},
    "fire": {"fire", "smoke"},
    "stalls": {"stall", "person"},
    "dark": {"car"},
    "junction": {"car", "bus"},
    "quiet": {"bicycle", "person"},
}


def parked(timeline: Timeline, at: float) -> bool:
    """Whether a car stands still at a second: its box is where it was a second ago, to a pixel."""
    now, then = ([b for label, b in boxes_at(timeline, t) if label == "car"] for t in (at, at - 1.0))
    return any(np.allclose(a, b, atol=0.002) for a in now for b in then)


def test_the_same_car_parks_at_the_same_second_before_both_kerb_cameras() -> None:
    for camera in ("kerb-a", "kerb-b"):
        timeline = load(SHIPPED / f"{camera}.yaml")
        assert not parked(timeline, 9)
        assert parked(timeline, 25)
        assert parked(timeline, 148)
        assert not parked(timeline, 165)


def test_the_demo_stays_small_enough_for_git() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 3_000_000
