"""Packets in, keyframes out: whatever their packing, wherever the network cuts them, and never one with a gap in it."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.demo.rtsp_packets import Sender, interleaved
from citybrain.errors import CameraGone
from ingest.kept import KeptMemory
from ingest.rtsp import codecs
from tests.unit.ingest.rtsp.packets import SETS, START, STEP, Camera, Listener, key_slice, slice_, stream

CODECS = ["h264", "hevc"]


def keyframe(codec: str, fill: int = 1) -> bytes:
    return stream([*SETS[codec], key_slice(codec, fill=fill)])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("longest", [60, 1000, 60_000])
@pytest.mark.parametrize("aggregate", [False, True])
@pytest.mark.parametrize("marks", ["last", "none"])
def test_keyframes_are_found_and_the_rest_is_kept_however_it_was_packed(codec, longest, aggregate, marks):
    camera = Camera(codec, longest=longest, aggregate=aggregate, marks=marks)
    listener = Listener(codec)
    packets = camera.group(4, fill=1) + camera.group(4, fill=2) + camera.group(4, fill=3)
    listener.hear(b"".join(packets))
    assert listener.keyframes == [keyframe(codec, fill) for fill in (1, 2, 3)]
    expected = []
    for fill in (1, 2, 3):
        expected += [keyframe(codec, fill), *(stream([slice_(codec, fill=10 * fill + n)]) for n in (1, 2, 3))]
    # Without markers nobody knows that the last picture is complete until the next begins.
    assert listener.units() == (expected if marks == "last" else expected[:-1])


@pytest.mark.parametrize("codec", CODECS)
@given(data=st.data())
def test_wherever_the_network_cuts_the_result_is_the_same(codec, data):
    camera = Camera(codec, longest=300)
    whole = b"".join(camera.group(3, fill=1) + camera.group(3, fill=2))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    edges = [0, *cuts, len(whole)]
    listener = Listener(codec)
    listener.hear(*(whole[start:end] for start, end in itertools.pairwise(edges)))
    assert listener.keyframes == [keyframe(codec, 1), keyframe(codec, 2)]
    assert len(listener.units()) == 6
    assert listener.rest == b""


@pytest.mark.parametrize("codec", CODECS)
def test_a_byte_at_a_time_will_do(codec):
    whole = b"".join(Camera(codec, longest=400).group(2))
    listener = Listener(codec)
    listener.hear(*(whole[at : at + 1] for at in range(len(whole))))
    assert listener.keyframes == [keyframe(codec)]


@pytest.mark.parametrize("codec", CODECS)
def test_a_keyframe_of_several_slices_is_one(codec):
    camera = Camera(codec)
    slices = [key_slice(codec, first=index == 0, fill=index + 1) for index in range(4)]
    listener = Listener(codec)
    listener.hear(b"".join(camera.picture(*SETS[codec], *slices)))
    assert listener.keyframes == [stream([*SETS[codec], *slices])]


@pytest.mark.parametrize("codec", CODECS)
def test_sets_known_from_the_description_are_put_in_front(codec):
    camera = Camera(codec)
    listener = Listener(codec, sets=SETS[codec])
    listener.hear(b"".join(camera.group(2, sets=False)))
    assert listener.keyframes == [keyframe(codec)]
    assert listener.flow.extradata == stream(SETS[codec])


@pytest.mark.parametrize("codec", CODECS)
def test_sets_in_the_stream_take_the_place_of_those_described(codec):
    camera = Camera(codec)
    other = [unit + b" as it was" for unit in SETS[codec]]
    listener = Listener(codec, sets=other)
    listener.hear(b"".join(camera.group(2) + camera.group(2, sets=False)))
    assert listener.keyframes == [keyframe(codec)] * 2


@pytest.mark.parametrize("codec", CODECS)
def test_sets_that_come_under_a_stamp_of_their_own_or_before_a_slice_are_known(codec):
    camera = Camera(codec)
    listener = Listener(codec)
    listener.hear(b"".join(camera.picture(*SETS[codec]) + camera.group(2, sets=False)))
    assert listener.keyframes == [keyframe(codec)]
    listener = Listener(codec)
    packets = camera.picture(*SETS[codec], slice_(codec)) + camera.group(2, sets=False)
    listener.hear(*packets)
    assert listener.keyframes == [keyframe(codec)]


@pytest.mark.parametrize("codec", CODECS)
def test_a_keyframe_before_any_sets_is_counted_and_not_handed_on(codec):
    camera = Camera(codec)
    listener = Listener(codec)
    listener.hear(b"".join(camera.group(2, sets=False) + camera.group(2)))
    assert listener.keyframes == [keyframe(codec)]
    assert listener.flow.counts.setless == 1


@pytest.mark.parametrize("codec", CODECS)
@given(data=st.data())
def test_a_keyframe_with_a_gap_in_it_is_dropped_and_counted_and_one_without_is_not(codec, data):
    """Whichever packet is missing: what is handed on is whole, and only what misses a packet is not handed on."""
    camera = Camera(codec, longest=300)
    groups = [camera.group(3, fill=fill) for fill in (1, 2, 3)]
    hit = data.draw(st.integers(0, 2))
    missing = data.draw(st.integers(0, len(groups[hit]) - 1))
    in_key = missing < len(groups[hit]) - 2
    # The parameter sets of later groups are known from the first.
    harmless = hit > 0 and missing < len(SETS[codec])
    packets = [packet for at, group in enumerate(groups) for n, packet in enumerate(group) if (at, n) != (hit, missing)]
    listener = Listener(codec)
    size = data.draw(st.integers(1, len(packets)))
    listener.hear(*(b"".join(packets[at : at + size]) for at in range(0, len(packets), size)))
    whole = [keyframe(codec, fill) for fill in (1, 2, 3)]
    assert all(each in whole for each in listener.keyframes)
    if harmless:
        # A set in the middle is missing: it cannot be told from a slice, and costs the keyframe; the first one does not.
        assert len(listener.keyframes) >= 2
    elif in_key:
        assert listener.keyframes == [each for each in whole if each != whole[hit]]
        assert listener.flow.counts.dropped + listener.flow.counts.setless >= (1 if hit or missing else 0)
    else:
        assert listener.keyframes == whole
    if (hit, missing) not in ((0, 0), (2, len(groups[2]) - 1)):  # nobody can miss the first or the last
        assert listener.flow.counts.lost == 1


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("joined_late", [False, True])
def test_a_keyframe_whose_first_slice_nobody_saw_is_not_whole(codec, joined_late):
    camera = Camera(codec)
    slices = [key_slice(codec, 200, first=index == 0, fill=index + 1) for index in range(3)]
    before, key = camera.group(2, fill=9), camera.picture(*slices)
    listener = Listener(codec, sets=SETS[codec])
    listener.hear(b"".join([*([] if joined_late else before), *key[1:], *camera.group(1, fill=5)]))
    assert listener.keyframes == ([] if joined_late else [keyframe(codec, 9)]) + [keyframe(codec, 5)]
    assert listener.flow.counts.dropped == 1


def test_sets_between_two_pictures_are_kept_with_the_second():
    camera = Camera()
    listener = Listener()
    listener.hear(b"".join(camera.group(2) + camera.picture(*SETS["h264"]) + camera.picture(slice_("h264", fill=7))))
    assert listener.units()[2:] == [stream([*SETS["h264"], slice_("h264", fill=7)])]


def test_a_fragmented_unit_without_its_end_is_ended_by_the_next():
    unit = key_slice("h264", 100)
    begins, whole = bytes([0x7C, 0x85]) + unit[1:], bytes([0x7C, 0x45]) + b"never begun"
    assert list(codecs.units(codecs.CODECS["h264"], [begins, begins, b"\x41\x88", whole])) == [unit, unit, b"\x41\x88"]


def test_a_gap_ends_what_is_kept_of_the_group_and_the_next_keyframe_begins_anew():
    camera = Camera()
    first, second = camera.group(5, fill=1), camera.group(2, fill=2)
    del first[-2]
    listener = Listener()
    listener.hear(b"".join(first))
    assert listener.kept.closer(None, received_at=START) is None
    listener.hear(b"".join(second))
    assert listener.units() == [
        keyframe("h264", 1),
        stream([slice_("h264", fill=11)]),
        stream([slice_("h264", fill=12)]),
        keyframe("h264", 2),
        stream([slice_("h264", fill=21)]),
    ]


@pytest.mark.parametrize("codec", CODECS)
def test_a_packet_that_comes_twice_or_late_changes_nothing(codec):
    camera = Camera(codec, longest=300)
    packets = camera.group(3, fill=1) + camera.group(3, fill=2)
    doubled = [packet for at, packet in enumerate(packets) for packet in (packet, *packets[at : at + at % 3])]
    listener = Listener(codec)
    listener.hear(b"".join(doubled))
    assert listener.keyframes == [keyframe(codec, 1), keyframe(codec, 2)]
    assert len(listener.units()) == 6
    assert listener.flow.counts.late > 0
    assert listener.flow.counts.lost == 0


def test_units_are_timed_by_their_stamps_across_the_turn_of_the_clock():
    camera = Camera()
    listener = Listener()
    listener.hear(b"".join(camera.group(8)))
    footage = listener.kept.footage(START)
    assert footage is not None
    steps = [unit.captured_at - footage.units[0].captured_at for unit in footage.units]
    assert steps == [timedelta(seconds=index * STEP / 90_000) for index in range(8)]


def test_another_sender_begins_anew_without_a_loss():
    camera = Camera()
    listener = Listener()
    first = camera.group(3, fill=1)
    camera.sender = Sender(ssrc=9, sequence=4)
    listener.hear(b"".join(first + camera.group(3, fill=2)))
    assert listener.keyframes == [keyframe("h264", 1), keyframe("h264", 2)]
    assert listener.flow.counts.lost == 0
    assert listener.flow.source == 9


def test_numbers_that_begin_anew_are_a_gap_and_no_more():
    camera = Camera()
    listener = Listener()
    first = camera.group(3, fill=1)
    camera.sender.sequence = 20
    listener.hear(b"".join(first + camera.group(3, fill=2) + camera.group(3, fill=3)))
    assert listener.keyframes == [keyframe("h264", fill) for fill in (1, 2, 3)]


def test_the_highest_number_counts_its_turns():
    camera = Camera(sender=Sender(ssrc=7, sequence=65_530))
    listener = Listener()
    packets = camera.group(40)
    listener.hear(b"".join(packets))
    assert listener.flow.highest == 65_530 + len(packets) - 1


def test_packets_with_extensions_sources_and_padding_are_read():
    camera = Camera(sender=Sender(ssrc=7, extended=True))
    listener = Listener()
    listener.hear(b"".join(camera.group(4)))
    assert listener.keyframes == [keyframe("h264")]
    assert listener.units()[1:] == [stream([slice_("h264", fill=10 + n)]) for n in (1, 2, 3)]


def test_other_channels_types_and_versions_are_passed_over_and_reports_handed_on():
    camera = Camera()
    listener = Listener()
    packets = camera.group(3)
    other = Sender(ssrc=7).packet(b"\x41\x88sound", 0, last=True)
    strange = [
        interleaved(1, b"\x80\xc8\0\0"),
        interleaved(4, other),
        interleaved(0, other[:1] + bytes([8]) + other[2:]),
        interleaved(0, b"\x00" + other[1:]),
        interleaved(0, other[:12]),
        interleaved(0, b""),
        interleaved(0, b"\xbf" + other[1:13]),
    ]
    mixed = [part for packet in packets for part in (packet, *strange)]
    listener.hear(b"".join(mixed))
    assert listener.keyframes == [keyframe("h264")]
    assert len(listener.units()) == 3
    assert listener.controls == [b"\x80\xc8\0\0"] * len(packets)


def test_a_goodbye_at_the_very_end_is_heard():
    listener = Listener()
    listener.hear(b"".join(Camera().group(2)) + interleaved(1, Sender(ssrc=7).goodbye()))
    assert listener.controls == [Sender(ssrc=7).goodbye()]
    assert listener.rest == b""


def test_answers_between_packets_are_heard():
    answer = b"RTSP/1.0 200 OK\r\nCSeq: 9\r\nContent-Length: 3\r\n\r\n$$$"
    listener = Listener()
    packets = Camera().group(3)
    whole = b"".join(part for packet in packets for part in (packet, answer))
    for size in (7, 100, len(whole)):
        listener = Listener()
        listener.hear(*(whole[at : at + size] for at in range(0, len(whole), size)))
        assert listener.keyframes == [keyframe("h264")]
        assert len(listener.said) == len(packets)


def test_a_camera_that_marks_every_packet_is_learnt_from_its_first_keyframe():
    camera = Camera(marks="all", longest=500)
    listener = Listener()
    listener.hear(b"".join(camera.group(3, fill=1) + camera.group(3, fill=2) + camera.group(3, fill=3)))
    assert listener.keyframes[1:] == [keyframe("h264", 2), keyframe("h264", 3)]


def test_h264_may_begin_at_a_recovery_point_that_is_no_idr():
    recovery = b"\x06\x05\x02ab\x06\x01\xc4\x80"  # something else first, then recovery_frame_cnt 0
    camera = Camera()
    listener = Listener(sets=SETS["h264"])
    listener.hear(b"".join(camera.picture(recovery, slice_("h264", 3000)) + camera.picture(slice_("h264"))))
    assert listener.keyframes == [stream([*SETS["h264"], recovery, slice_("h264", 3000)])]
    later = b"\x06\x06\x01\x20\x80"  # recovers after several pictures
    listener = Listener(sets=SETS["h264"])
    listener.hear(b"".join(camera.picture(later, slice_("h264", 3000))))
    assert listener.keyframes == []


@pytest.mark.parametrize(("announced", "sent"), [("h264", "hevc"), ("hevc", "h264")])
def test_packets_of_another_codec_are_seen_within_about_a_second(announced, sent):
    camera = Camera(sent)
    listener = Listener(announced)
    packets = [packet for _ in range(8) for packet in camera.group(5)]
    with pytest.raises(CameraGone, match="codec changed"):
        listener.hear(*packets)
    assert listener.keyframes == []


def test_a_keyframe_without_an_end_does_not_eat_the_memory():
    camera = Camera(marks="none", longest=60_000)
    listener = Listener()
    huge = key_slice("h264", 1 << 20)
    stamp = camera.stamp
    for _ in range(40):
        camera.stamp = stamp
        listener.hear(b"".join(camera.picture(huge)))
    assert listener.flow._held_bytes <= (16 << 20) + 70_000
    assert listener.flow.counts.dropped >= 1


@given(st.binary(max_size=600))
@settings(max_examples=200)
def test_random_bytes_break_nothing(noise):
    listener = Listener(sets=SETS["h264"])
    try:
        listener.hear(b"".join(Camera().group(2)), noise)
    except CameraGone as gone:
        assert gone.reason in ("garbage", "codec changed")  # noqa: PT017  # it need not be noticed


@pytest.mark.parametrize("codec", CODECS)
@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=150)
def test_a_damaged_stream_breaks_nothing_and_keeps_its_bounds(codec, seed):
    draw = random.Random(seed)
    camera = Camera(codec, longest=draw.choice([60, 300, 1400]), aggregate=draw.random() < 0.5)
    whole = bytearray(b"".join(camera.group(3, fill=1) + camera.group(3, fill=2) + camera.group(3, fill=3)))
    for _ in range(draw.randint(1, 30)):
        whole[draw.randrange(len(whole))] = draw.getrandbits(8)
    memory = KeptMemory()
    listener = Listener(codec, memory=memory)
    size = draw.randint(1, 3000)
    try:
        listener.hear(*(bytes(whole[at : at + size]) for at in range(0, len(whole), size)))
    except CameraGone as gone:
        assert gone.reason in ("garbage", "codec changed")  # noqa: PT017  # it need not be noticed
    listener.units()
    listener.kept.closer(None, received_at=START)
    assert memory.figures()["bytes"] <= len(whole) + 4000
