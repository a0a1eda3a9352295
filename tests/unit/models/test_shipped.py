"""The plain reader of an exported model."""

from __future__ import annotations

from importlib import import_module

shipped = import_module("shipped")


def test_a_van_seen_as_car_and_as_truck_is_one_vehicle_and_a_person_before_it_stays() -> None:
    sides = (0.2, 0.2, 0.6, 0.6)
    found = [shipped.Found(label, confidence, *sides) for label, confidence in ((2, 0.5), (5, 0.6), (0, 0.4))]
    assert [item.label for item in shipped.suppress(found, iou=0.55)] == [5, 0]
