"""Training, some steps of it: it writes weights in which what is to stay has stayed, and goes on where it stopped."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `ultralytics` is not installed")
pytest.importorskip("ultralytics")

boxes = import_module("boxes")
manifest = import_module("manifest")
city_head = import_module("city_head")

MODELS = Path(__file__).resolve().parents[3] / "models"
SHIPPED = MODELS / "weights" / "city-n.pt"
FIRE = city_head.CLASSES.index("fire")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Four pictures in which an orange patch is fire."""
    folder = tmp_path_factory.mktemp("set")
    part = manifest.Part(folder, "patches")
    for number in range(4):
        picture = np.full((96, 160, 3), 60 + 20 * number, np.uint8)
        cv2.rectangle(picture, (40, 30), (100, 80), (20, 120, 250), -1)
        part.add(picture, [boxes.Box(FIRE, 0.25, 0.31, 0.63, 0.84)], split="train", source="patches", name=str(number))
    part.close()
    return folder / "patches.csv"


def trained(table, out, *words):
    """What a run printed."""
    size = ["--size", "96", "160", "--early-size", "96", "160", "--batch", "2", "--closing", "1", "--rate", "0.01"]
    command = [sys.executable, MODELS / "scripts" / "train.py", "--start", SHIPPED, "--tables", table, "--out", out]
    done = subprocess.run([*map(str, command), *size, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def state_of(weights):
    from detectors.torchvision_guard import make_torchvision_importable

    make_torchvision_importable()
    from ultralytics import YOLO

    return {name: value.float() for name, value in YOLO(str(weights)).model.state_dict().items()}


@pytest.mark.timeout(400)  # two runs of it, which on a busy machine take a minute or more
def test_the_first_layers_stay_the_rest_learns_and_a_second_run_goes_on(table, tmp_path):
    assert "epoch 0 took" in trained(table, tmp_path, "--epochs", "1")
    first, start = state_of(tmp_path / "last.pt"), state_of(SHIPPED)
    changed = {int(name.split(".")[1]) for name, value in first.items() if not torch.equal(value, start[name])}
    assert min(changed) == 5
    assert max(changed) == 23
    said = trained(table, tmp_path, "--epochs", "2")
    assert "epoch 1 took" in said
    assert "epoch 0" not in said
    assert any(not torch.equal(value, first[name]) for name, value in state_of(tmp_path / "last.pt").items())
