"""A configuration read by another process is the one that would have been read here, faults and all."""

from pathlib import Path

import pytest

from citybrain import assembly, reading
from citybrain.errors import Unreadable

GOOD, FAULTY = Path("tests/configs/folders/good"), Path("tests/configs/folders/many_faults")


def test_a_good_folder_arrives_whole():
    found, faults = reading.apart(GOOD)
    here, _ = assembly.read(GOOD)
    assert faults == []
    assert found is not None
    assert here is not None
    assert (found.revision, found.cameras, found.routes) == (here.revision, here.cameras, here.routes)
    assert found.scenes.keys() == here.scenes.keys()


def test_faults_arrive_as_they_were_found():
    assert reading.apart(FAULTY) == assembly.read(FAULTY)


def test_a_reader_that_dies_says_nothing_of_the_configuration(monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(Unreadable, match="could not be read by another process"):
        reading.apart(GOOD)
