"""A clip as an endless stream: its units, its packets, its time."""

from __future__ import annotations

import itertools

import pytest

from citybrain.demo.rtsp_clip import Clip, Sample, read_clip, split_units
from citybrain.demo.rtsp_faults import CameraFault, faults_of, read_fault
from citybrain.demo.rtsp_login import Login
from citybrain.demo.rtsp_packets import Sender, description, payloads
from citybrain.errors import Unreadable
from tests.unit.ingest.clips import make_clip


@pytest.mark.parametrize(("codec", "sets"), [("h264", 2), ("hevc", 3)])
def test_a_clip_is_taken_apart_into_units(tmp_path, codec, sets):
    clip = read_clip(make_clip(tmp_path / "street.mp4", codec=codec, seconds=2))
    assert (clip.name, clip.codec, len(clip.samples)) == ("street", codec, 20)
    assert len(clip.parameters) == sets
    assert clip.duration_s == pytest.approx(2.0)
    assert [index for index, each in enumerate(clip.samples) if each.keyframe] == [0, 5, 10, 15]


def test_nothing_is_sent_before_it_is_shown(tmp_path):
    clip = read_clip(make_clip(tmp_path / "street.mp4", b_frames=2, seconds=2))
    assert all(each.send_s >= each.shown_s - 1e-9 for each in clip.samples)
    assert sorted(each.send_s for each in clip.samples) == [each.send_s for each in clip.samples]


def test_a_clip_goes_on_for_ever_from_wherever_its_time_stands():
    clip = Clip("a", "h264", (), tuple(Sample(s, s, s == 0, (b"x",)) for s in (0.0, 1.0, 2.0)), 3.0)
    times = [begun + sample.send_s for begun, sample in itertools.islice(clip.after(7.5), 5)]
    assert times == [8.0, 9.0, 10.0, 11.0, 12.0]
    assert times == [begun + sample.send_s for begun, sample in itertools.islice(clip.after(7.5), 5)]


def test_units_are_split_at_start_codes_of_either_length():
    assert split_units(b"\0\0\0\1abc\0\0\1de\0\0\0\1f") == [b"abc", b"de", b"f"]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_long_unit_travels_in_fragments_and_is_put_together_again(codec):
    unit = (b"\x65" if codec == "h264" else b"\x26\x01") + bytes(range(256)) * 20
    parts = payloads(codec, [unit])
    assert len(parts) > 1
    assert all(len(part) <= 1403 for part in parts)
    head = 2 if codec == "h264" else 3
    marks = [part[head - 1] for part in parts]
    assert [mark >> 7 for mark in marks] == [1] + [0] * (len(parts) - 1)
    assert [mark >> 6 & 1 for mark in marks] == [0] * (len(parts) - 1) + [1]
    assert b"".join(part[head:] for part in parts) == unit[head - 1 :]


def test_packets_are_numbered_without_a_gap_across_the_turn():
    sender = Sender(ssrc=7, sequence=65_534)
    packets = [sender.packet(b"x", 1 << 32 | 5, last=False) for _ in range(4)]
    assert [int.from_bytes(each[2:4], "big") for each in packets] == [65_534, 65_535, 0, 1]
    assert {int.from_bytes(each[4:8], "big") for each in packets} == {5}


def test_a_sender_report_ties_the_wall_to_the_stream():
    report = Sender(ssrc=7).report(1_000_000_000.5, 90_000)
    assert int.from_bytes(report[8:12], "big") == 1_000_000_000 + 2_208_988_800
    assert int.from_bytes(report[12:16], "big") == 1 << 31
    assert int.from_bytes(report[16:20], "big") == 90_000


def test_the_description_carries_the_parameter_sets(tmp_path):
    clip = read_clip(make_clip(tmp_path / "avenue.mp4", codec="hevc", seconds=1))
    text = description(clip, "127.0.0.1").decode()
    assert "H265/90000" in text
    assert all(name in text for name in ("sprop-vps=", "sprop-sps=", "sprop-pps="))


def test_what_is_no_clip_says_so(tmp_path):
    (tmp_path / "noise.mp4").write_bytes(b"x" * 2000)
    with pytest.raises(Unreadable, match=r"noise\.mp4"):
        read_clip(tmp_path / "noise.mp4")


def test_faults_are_read_from_words_and_addresses():
    assert read_fault("stall") == CameraFault("stall")
    assert read_fault("loss:0.02") == CameraFault("loss", 0.02)
    assert read_fault("codec:avenue@3") == CameraFault("codec", 3.0, "avenue")
    assert faults_of("fault=fin%3A2&fault=noreports&x=1&fault=nonsense") == [
        CameraFault("fin", 2.0),
        CameraFault("noreports"),
    ]
    with pytest.raises(ValueError, match="expected a fault such as 401"):
        read_fault("explode")
    with pytest.raises(ValueError, match="expected a number"):
        read_fault("fin:soon")


def test_a_login_admits_the_right_password_and_no_other():
    login = Login({"admin": "se:cret"})
    assert login.admits("DESCRIBE", "Basic YWRtaW46c2U6Y3JldA==")
    assert not login.admits("DESCRIBE", "Basic YWRtaW46d3Jvbmc=")
    assert not login.admits("DESCRIBE", "Basic !!")
    assert not login.admits("DESCRIBE", "")
    assert not login.admits("DESCRIBE", 'Digest username="admin", nonce="old", uri="x", response="y"')
    assert Login({}).admits("DESCRIBE", "")
