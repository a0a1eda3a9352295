"""Sender and receiver reports: the camera's clock, and that we are still here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from citybrain.demo.rtsp_packets import Sender
from ingest.rtsp.rtcp import SenderReport, read_control, receiver_report
from ingest.rtsp.stream import SenderClock

AT = datetime(2026, 11, 21, 8, 0, 0, 500_000, UTC)


def test_a_sender_report_ties_the_cameras_clock_to_its_stamps():
    [report] = read_control(Sender(ssrc=7).report(AT.timestamp(), 90_000))
    assert isinstance(report, SenderReport)
    assert (report.source, report.stamp) == (7, 90_000)
    assert abs(report.at - AT) < timedelta(microseconds=2)
    clock = SenderClock(90_000)
    assert clock.time_of(0) is None
    clock.hear(report, 1.0)
    assert clock.time_of(180_000) == report.at + timedelta(seconds=1)
    assert clock.time_of(90_000 - 45_000) == report.at - timedelta(seconds=0.5)


def test_stamps_that_have_turned_over_are_near_all_the_same():
    [report] = read_control(Sender(ssrc=7).report(AT.timestamp(), (1 << 32) - 90_000))
    assert isinstance(report, SenderReport)
    clock = SenderClock(90_000)
    clock.hear(report, 1.0)
    assert clock.time_of(90_000) == report.at + timedelta(seconds=2)


def test_after_2036_the_seconds_begin_anew_and_the_time_goes_on():
    later = datetime(2040, 1, 1, tzinfo=UTC)
    [report] = read_control(Sender(ssrc=7).report(later.timestamp(), 0))
    assert isinstance(report, SenderReport)
    assert abs(report.at - later) < timedelta(microseconds=2)


def test_a_camera_that_says_it_has_no_clock_is_believed():
    report = bytearray(Sender(ssrc=7).report(AT.timestamp(), 90_000))
    report[8:16] = bytes(8)
    assert list(read_control(bytes(report))) == []


def test_a_goodbye_names_who_goes():
    sender = Sender(ssrc=0x01020304)
    found = list(read_control(sender.report(AT.timestamp(), 0) + sender.goodbye()))
    assert found[1:] == [0x01020304]


def test_a_receiver_report_says_what_came_and_quotes_the_sender():
    packet = receiver_report(
        ours=1, source=7, highest=(2 << 16) + 5, lost=3, share_lost=300, middle=0xAABBCCDD, since_s=1.5
    )
    assert packet[:4] == b"\x81\xc9\0\x07"
    assert int.from_bytes(packet[8:12], "big") == 7
    assert packet[12] == 255
    assert int.from_bytes(packet[13:16], "big") == 3
    assert int.from_bytes(packet[16:20], "big") == (2 << 16) + 5
    assert packet[24:28] == b"\xaa\xbb\xcc\xdd"
    assert int.from_bytes(packet[28:32], "big") == round(1.5 * 65536)
    assert packet[32:34] == b"\x81\xca"
    assert b"citybrain" in packet
    assert len(packet) % 4 == 0
    assert len(packet) == 32 + 4 * (1 + int.from_bytes(packet[34:36], "big"))


@given(st.binary(max_size=120))
def test_no_report_breaks_us(packet):
    list(read_control(packet))
