"""The pure parts of the scripts that make city-n's training set and cut its head."""

from importlib import import_module

import cv2
import numpy as np
import pytest

boxes = import_module("boxes")
likeness = import_module("likeness")
photographs = import_module("photographs")
effects = import_module("effects")
city_head = import_module("city_head")
augment = import_module("augment")
compose = import_module("compose")
streets = import_module("streets")
pasted = import_module("pasted")
teacher = import_module("teacher")


def test_a_puddle_gets_one_box_around_it():
    mask = np.zeros((100, 200), np.uint8)
    mask[60:90, 40:120] = 1
    (box,) = boxes.mask_boxes(mask, 8)
    assert box == pytest.approx((8, 0.20, 0.60, 0.60, 0.90), abs=0.02)


def test_water_that_runs_aslant_is_cut_so_that_dry_road_stays_outside():
    mask = np.zeros((200, 300), np.uint8)
    for column in range(300):
        mask[column // 2 : column // 2 + 40, column] = 1
    found = boxes.mask_boxes(mask, 8)
    assert len(found) == 2
    assert sum(map(boxes.area, found)) < 0.55


def test_specks_are_no_water():
    mask = np.zeros((200, 300), np.uint8)
    mask[10:13, 10:13] = 1
    assert boxes.mask_boxes(mask, 8) == []


def test_labels_come_back_from_their_file(tmp_path):
    known = [boxes.Box(6, 0.1, 0.2, 0.3, 0.4), boxes.Box(8, -0.2, 0.5, 1.4, 1.0)]
    boxes.write(tmp_path / "a.txt", known)
    fire, water = boxes.read(tmp_path / "a.txt")
    assert fire == pytest.approx(known[0], abs=1e-4)
    assert water == pytest.approx((8, 0.0, 0.5, 1.0, 1.0), abs=1e-4)
    assert boxes.read(tmp_path / "none.txt") == []


def street(seed):
    return (np.random.default_rng(seed).random((9, 16, 3)) * 255).astype(np.uint8).repeat(20, 0).repeat(20, 1)


def test_a_brighter_copy_is_a_duplicate_and_another_street_is_not():
    first, other = street(1), street(2)
    copy = (first * 0.9 + 12).astype(np.uint8)
    hashes = [likeness.perceptual_hash(picture) for picture in (first, copy, other)]
    assert likeness.without_duplicates(hashes) == [0, 2]


def test_pictures_of_one_view_share_a_split():
    near = (1 << likeness.SAME_VIEW) - 1
    chained, far = near << likeness.SAME_VIEW | near, (1 << 64) - 1
    assert likeness.views([0, near, chained, far]) == [0, 0, 0, 3]


def test_a_split_is_the_same_on_every_machine_and_about_as_large_as_asked():
    chosen = [likeness.held_out(f"picture-{number}", share=0.2) for number in range(500)]
    assert chosen == [likeness.held_out(f"picture-{number}", share=0.2) for number in range(500)]
    assert 70 <= sum(chosen) <= 130


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("test2_mp4-3_jpg.rf.1.jpg", "test"),
        ("fire2_mp4-3_jpg.rf.1.jpg", "train"),
        ("img_601_jpg.rf.1.jpg", "test"),
        ("img_670_jpg.rf.1.jpg", "train"),
        ("img_52--2-_jpg.rf.1.jpg", "train"),
    ],
)
def test_a_fire_is_held_out_with_its_whole_video(name, split):
    assert photographs.fire_split(name) == split


@pytest.mark.parametrize("table", [photographs.FLOOD_STREETS, photographs.CITY_CAMERAS], ids=lambda path: path.stem)
def test_water_drawn_by_hand_lies_within_its_picture_and_a_picture_has_one_split(table):
    drawn = photographs.drawn_by_hand(table)
    assert len(drawn) > 150
    for box in (box for said in drawn.values() for box in said.water):
        assert 0 <= box.left < box.right <= 1
        assert 0 <= box.top < box.bottom <= 1
        assert city_head.CLASSES[box.label] == "water"
    with table.open(encoding="utf-8") as file:
        rows = [line.split(",")[:2] for line in file.read().splitlines()[1:]]
    assert all(drawn[picture].split == split for picture, split in rows)
    assert {said.split for said in drawn.values()} == {"train", "test"}


def test_a_picture_said_to_be_dry_has_no_box(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text(
        "picture,split,left,top,right,bottom\na.jpg,test,,,,\nb.jpg,train,0,0.5,1,1\nb.jpg,train,0,0.2,0.3,0.5\n"
    )
    drawn = photographs.drawn_by_hand(path)
    assert drawn["a.jpg"] == ("test", [])
    assert [box.top for box in drawn["b.jpg"].water] == [0.5, 0.2]


def test_what_the_teacher_sees_twice_is_one_thing_as_the_surer_answer_has_it():
    car, truck, person = (city_head.CLASSES.index(name) for name in ("car", "truck", "person"))
    near = teacher.Found(car, 0.5, 0.1, 0.1, 0.3, 0.3)
    answers = [
        near,
        near._replace(label=truck, confidence=0.7, right=0.31),
        near._replace(label=person, confidence=0.4),
        teacher.Found(car, 0.4, 0.6, 0.6, 0.8, 0.8),
    ]
    assert [box.label for box in teacher.merged(answers)] == [truck, person, car]


def test_a_cut_out_that_its_render_cut_off_is_no_larger_than_its_patch():
    assert streets.within((-158, 1, 318, 216), np.zeros((225, 327, 4), np.uint8)) == (0, 1, 318, 216)


def test_an_assumed_camera_sees_what_is_farther_away_higher_and_smaller():
    picture = np.full((480, 640, 3), 120, np.uint8)
    for seed in range(20):
        plate = pasted.plate_of("street", picture, np.random.default_rng(seed))
        (near_x, near_y, near_m), (far_x, far_y, far_m) = (plate.project((1.0, y, 0.0)) for y in (8.0, 30.0))
        assert near_m < far_m
        assert near_y > far_y
        assert near_x > far_x > 320
        assert plate.light == "day"


def test_a_head_starts_from_the_rows_of_the_same_name():
    names = {0: "person", 1: "bicycle", 2: "car", 3: "fire hydrant"}
    assert city_head.rows_of(("car", "stall", "person"), names) == {0: 2, 2: 0}


def test_the_scene_classes_follow_the_ones_that_coco_knows():
    assert city_head.TRAFFIC + city_head.SCENES == city_head.CLASSES
    assert city_head.SCENES == ("fire", "smoke", "water", "stall")


def test_flames_are_brightest_near_the_ground_and_have_a_clear_edge():
    patch = effects.flames(90, 60, np.random.default_rng(4))
    heat = patch[..., :3].sum(axis=2) * (patch[..., 3] > 100)
    assert heat[60:].mean() > heat[:30].mean()
    left, top, right, bottom = effects.seen_part(patch, least=100)
    assert 0 <= left < right <= 60
    assert 0 <= top < bottom <= 90


def test_a_cone_is_orange_stands_on_the_ground_and_is_no_fire():
    for seed in range(30):
        patch = effects.cone(40, np.random.default_rng(seed))
        solid = patch[..., 3] > 200
        assert solid[-2:].any()
        hues = cv2.cvtColor(patch[..., :3], cv2.COLOR_BGR2HSV)[solid]
        coloured = hues[hues[:, 1] > 100]
        assert len(coloured) > 0.3 * len(hues)
        assert coloured[:, 0].max() <= 20
    scene = streets.Scene(np.full((360, 640, 3), 90, np.uint8))
    plate = pasted.plate_of("street", scene.picture.copy(), np.random.default_rng(1))
    compose.set_cones(scene, plate, np.random.default_rng(1))
    assert (scene.picture != 90).any()
    assert scene.labels() == []


def test_what_is_laid_beyond_the_edge_changes_nothing_else():
    picture = np.zeros((40, 40, 3), np.uint8)
    patch = np.full((20, 20, 4), 255, np.uint8)
    effects.lay(picture, patch, 30, 30)
    effects.lay(picture, patch, 100, 100)
    assert picture[30:, 30:].min() == 255
    assert picture[:30].max() == 0


def test_a_label_moves_with_its_picture_and_is_dropped_when_hardly_any_of_it_is_left():
    picture = np.full((100, 200, 3), 7, np.uint8)
    labels = np.array([[2, 0.0, 0.0, 0.1, 0.2], [6, 0.4, 0.4, 0.6, 0.6]], np.float32)
    canvas = np.zeros((100, 200, 3), np.uint8)
    whole = augment.place(picture, labels, canvas, window=(0, 0, 200, 100), scale=1, shift=(0, 0))
    assert whole[:, 0].tolist() == [2, 6]
    assert whole[1, 1:].tolist() == pytest.approx([80, 40, 120, 60])
    closer = augment.place(picture, labels, canvas, window=(0, 0, 200, 100), scale=2, shift=(0.5, 0.5))
    assert closer[:, 0].tolist() == [6]
    assert closer[0, 1:].tolist() == pytest.approx([60, 30, 140, 70])


def test_the_same_seed_gives_the_same_canvas():
    def draw():
        return street(3), np.array([[2, 0.2, 0.2, 0.6, 0.6]], np.float32)

    one, again = (
        augment.canvas_of(draw, size=(96, 160), mosaic=0.5, random=np.random.default_rng(8)) for _ in range(2)
    )
    assert np.array_equal(one[0], again[0])
    assert np.array_equal(one[1], again[1])


def test_a_thing_hidden_behind_a_nearer_one_loses_its_label_and_water_hides_nothing():
    car, bus, water = (city_head.CLASSES.index(name) for name in ("car", "bus", "water"))
    scene = streets.Scene(np.zeros((100, 100, 3), np.uint8))
    scene.things = [(car, (40, 40, 60, 60)), (bus, (35, 30, 70, 65)), (water, (0, 20, 100, 100))]
    assert [box.label for box in scene.labels()] == [bus, water]
