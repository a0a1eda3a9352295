"""What is stored is read as it was: written, read and written again it is the same."""

import json

import pytest
from hypothesis import given, settings

from citybrain.errors import Unreadable
from pipeline.camera_flow import CameraState
from pipeline.cases.records import LocalityState
from pipeline.flow import Pipeline
from pipeline.runners.replay import Replay, restore, save
from pipeline.state import read_camera, read_locality, write_camera, write_locality
from tests.flows.days import TOWN, days
from tests.flows.street import messages


@settings(max_examples=30)
@given(days())
def test_every_state_of_a_day_is_read_as_it_was_written(day):
    runner = Replay(Pipeline(TOWN))
    for n, value in enumerate(messages(day)):
        list(runner.run([value]))
        if n % 25:
            continue
        for camera in runner.states.cameras.values():
            raw = write_camera(camera)
            assert write_camera(read_camera(raw)) == raw
        for locality in runner.states.held.values():
            raw = write_locality(locality)
            assert write_locality(read_locality(raw)) == raw
            assert [record.case for record in read_locality(raw).records] == [
                record.case for record in locality.records
            ]


def test_nothing_yet_is_read_as_nothing_yet():
    assert read_camera(write_camera(CameraState())) == CameraState()
    assert read_locality(write_locality(LocalityState())) == LocalityState([])


@pytest.mark.parametrize("version", [0, 2, None])
def test_a_state_of_another_version_is_refused_and_says_what_to_do(version):
    for read, written in ((read_camera, write_camera(CameraState())), (read_locality, write_locality(LocalityState()))):
        with pytest.raises(Unreadable, match="expected 1; upgrade or replay"):
            read(json.dumps(json.loads(written) | {"v": version}).encode())


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"v":1}', b'{"v":2,"cameras":{},"localities":{}}'])
def test_what_is_no_snapshot_is_refused_by_its_name(tmp_path, raw):
    path = tmp_path / "state.json"
    path.write_bytes(raw)
    with pytest.raises(Unreadable):
        restore(path)


def test_a_snapshot_of_nothing_is_a_snapshot(tmp_path):
    runner = Replay(Pipeline(TOWN))
    save(runner.states, tmp_path / "state.json")
    assert restore(tmp_path / "state.json").cameras == {}
