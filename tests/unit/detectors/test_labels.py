"""What a model's classes are called here, and what is too unsure to be told."""

from citybrain.domain.detection import Detection
from citybrain.domain.geometry import Box
from detectors.config import Confidence
from detectors.labels import Labels

BOX, NEAR, FAR = Box(0.1, 0.1, 0.3, 0.3), Box(0.1, 0.1, 0.31, 0.3), Box(0.6, 0.6, 0.9, 0.9)
ROAD = Labels({"car": "vehicle", "truck": "vehicle", "fire": "fire"}, Confidence(0.3, {"fire": 0.5}))


def test_a_class_without_a_label_is_ignored():
    assert ROAD.apply([Detection("zebra", 0.9, BOX)]) == []


def test_each_label_has_its_own_threshold():
    seen = ROAD.apply([Detection("car", 0.31, BOX), Detection("car", 0.29, FAR), Detection("fire", 0.49, FAR)])
    assert seen == [Detection("vehicle", 0.31, BOX)]


def test_a_confidence_at_the_threshold_counts():
    assert ROAD.apply([Detection("fire", 0.5, BOX)])


def test_one_van_seen_as_car_and_truck_is_one_vehicle_at_its_surest():
    seen = ROAD.apply([Detection("car", 0.5, BOX), Detection("truck", 0.7, NEAR)])
    assert seen == [Detection("vehicle", 0.7, NEAR)]


def test_two_vehicles_apart_are_two():
    assert len(ROAD.apply([Detection("car", 0.5, BOX), Detection("truck", 0.7, FAR)])) == 2


def test_two_cars_that_the_model_itself_told_apart_stay_two():
    assert len(ROAD.apply([Detection("car", 0.5, BOX), Detection("car", 0.7, NEAR)])) == 2


def test_different_labels_may_share_a_place():
    assert len(ROAD.apply([Detection("car", 0.5, BOX), Detection("fire", 0.7, BOX)])) == 2


def test_the_surest_comes_first():
    seen = ROAD.apply([Detection("car", 0.4, BOX), Detection("fire", 0.9, FAR), Detection("truck", 0.6, FAR)])
    assert [each.confidence for each in seen] == [0.9, 0.6, 0.4]
