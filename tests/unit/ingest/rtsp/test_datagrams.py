"""Datagrams in order: those that overtake each other are put back, those that never come are not waited for."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ingest.rtsp.datagrams import Order


def put_in_order(sequences: Sequence[int], *, step_s: float = 0.001) -> list[int]:
    order, found = Order(), list[int]()
    for index, sequence in enumerate(sequences):
        now_s = index * step_s
        if order.is_next(sequence):
            found.append(sequence)
        else:
            order.set_aside(sequence, sequence.to_bytes(2, "big"), now_s)
        while (packet := order.following()) is not None:
            found.append(int.from_bytes(packet, "big"))
        while order.is_impatient(now_s):
            while (packet := order.following()) is not None:
                found.append(int.from_bytes(packet, "big"))
    return found


def test_a_packet_that_was_overtaken_is_put_back():
    assert put_in_order([5, 7, 6, 8, 11, 10, 9, 12]) == [5, 6, 7, 8, 9, 10, 11, 12]


def test_order_goes_on_where_the_numbers_turn_over():
    assert put_in_order([65_534, 0, 65_535, 2, 1]) == [65_534, 65_535, 0, 1, 2]


def test_a_packet_that_never_comes_is_waited_for_only_a_little():
    assert put_in_order([1, *range(3, 12)], step_s=0.01) == [1, *range(3, 12)]
    assert put_in_order([1, *range(3, 100)], step_s=0) == [1, *range(3, 100)]


def test_a_packet_that_comes_when_nobody_waits_any_more_is_dropped():
    assert put_in_order([1, *range(3, 12), 2, *range(12, 40)], step_s=0.01) == [1, *range(3, 40)]


@given(st.integers(0, 65_535), st.lists(st.integers(0, 6), min_size=60, max_size=60))
def test_whoever_overtakes_by_a_few_places_only_ends_up_in_order(first, delays):
    sent = [(first + index) & 0xFFFF for index in range(60)]
    arrived = [sent[0]] + [
        sequence
        for _, sequence in sorted((index + delays[index], sequence) for index, sequence in enumerate(sent))
        if sequence != sent[0]
    ]
    assert put_in_order(arrived) == sent


@given(st.lists(st.integers(0, 65_535), max_size=200))
def test_numbers_at_random_are_given_at_most_once_each_and_never_held_for_ever(sequences):
    found = put_in_order(sequences)
    assert len(found) <= len(sequences)
