"""Session descriptions of real devices' making, and addresses in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.rtsp.description import read_description, resolved

HIKVISION = b"""v=0\r
o=- 1109162014219182 1109162014219192 IN IP4 x.y.z.w\r
s=Media Presentation\r
e=NONE\r
c=IN IP4 0.0.0.0\r
t=0 0\r
a=control:*\r
m=video 0 RTP/AVP 96\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 profile-level-id=4D0014;packetization-mode=0;sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aMuMsg==\r
a=control:trackID=video\r
m=audio 0 RTP/AVP 0\r
a=rtpmap:0 PCMU/8000\r
a=control:trackID=audio\r
m=application 0 RTP/AVP 107\r
a=control:trackID=meta\r
"""
H265 = b"""v=0
m=audio 0 RTP/AVP 8
a=control:trackID=0
m=video 0 RTP/AVP 26 98
a=RTPMAP:98 h265/90000
a=fmtp:98 profile-id=1; sprop-sps=QgEBAWAAAAMAsAAAAwAAAwBaoA==; sprop-pps=RAHgdrAmQA==; sprop-vps=QAEMAf//AWAAAAMAsAAA
a=control:rtsp://10.1.1.1/stream/track1
"""


def test_the_first_video_that_can_be_taken_apart_is_found_with_its_parameter_sets():
    video = read_description(HIKVISION).video
    assert video is not None
    assert (video.codec, video.type, video.clock_hz, video.control) == ("h264", 96, 90_000, "trackID=video")
    assert [unit[0] & 0x1F for unit in video.sets] == [7, 8]


def test_h265_names_its_sets_one_by_one_and_they_are_put_in_order():
    found = read_description(H265)
    assert found.video is not None
    assert (found.video.codec, found.video.type) == ("hevc", 98)
    assert [unit[0] >> 1 & 0x3F for unit in found.video.sets] == [32, 33, 34]
    assert found.video.control == "rtsp://10.1.1.1/stream/track1"


@pytest.mark.parametrize(
    ("section", "others"),
    [
        (b"m=video 0 RTP/AVP 26\r\n", ("jpeg",)),
        (b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 MP4V-ES/90000\r\n", ("mp4v-es",)),
        (b"m=video 0 RTP/SAVP 96\r\na=rtpmap:96 H264/90000\r\n", ("h264",)),
        (b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=2\r\n", ("h264",)),
        (b"m=video 0 RTP/AVP 97\r\n", ("unknown",)),
        (b"m=audio 0 RTP/AVP 0\r\n", ()),
        (b"", ()),
    ],
)
def test_what_cannot_be_taken_apart_is_named(section, others):
    found = read_description(b"v=0\r\n" + section)
    assert found.video is None
    assert found.others == others


def test_sets_that_are_damaged_are_passed_over_and_start_codes_taken_off():
    text = b"m=video 0 RTP/AVP 96\na=rtpmap:96 H264\na=fmtp:96 sprop-parameter-sets=AAAAAWdCwB4,!!!!,aMuMsg,,\n"
    video = read_description(text).video
    assert video is not None
    assert video.sets == (b"\x67\x42\xc0\x1e", b"\x68\xcb\x8c\xb2")
    assert video.clock_hz == 90_000


def test_a_multicast_address_is_seen():
    text = b"c=IN IP4 239.1.2.3/64\nm=video 5000 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    video = read_description(text).video
    assert video is not None
    assert video.multicast


@pytest.mark.parametrize(
    ("base", "control", "meant"),
    [
        ("rtsp://a/b/", "trackID=1", "rtsp://a/b/trackID=1"),
        ("rtsp://a/b", "trackID=1", "rtsp://a/b/trackID=1"),
        ("rtsp://a/b?channel=1&subtype=1", "trackID=0", "rtsp://a/b?channel=1&subtype=1/trackID=0"),
        ("rtsp://a/b", "*", "rtsp://a/b"),
        ("rtsp://a/b", "", "rtsp://a/b"),
        ("rtsp://a/b", "rtsp://10.0.0.9/x", "rtsp://10.0.0.9/x"),
        ("rtsp://a/b/", "/track1", "rtsp://a/b/track1"),
    ],
)
def test_control_addresses_are_resolved_as_other_viewers_do_it(base, control, meant):
    assert resolved(base, control) == meant


@given(st.binary(max_size=300))
def test_no_description_breaks_us(body):
    read_description(body)


@given(st.data())
def test_nor_does_a_damaged_one(data):
    text = bytearray(HIKVISION)
    for _ in range(data.draw(st.integers(1, 10))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    read_description(bytes(text))
