"""`citybrain evaluate scenes` as a user runs it: the clips that ship, the model that ships."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)  # a minute and more of inference where much else runs
def test_the_bundled_fires_are_found_within_ten_seconds_and_the_parked_car_too(tmp_path):
    command = [sys.executable, "-m", "citybrain", "evaluate", "scenes", "--json", "--plots", str(tmp_path)]
    words = ["--only", "fire_model_house", "parking_street", "kerb_fire_night", "--workers", "2"]
    done = subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)
    street, fire, night = found["clips"]
    assert (street["clip"], street["found"], street["false"]) == ("parking_street", 1, 0)
    for each in (fire, night):  # by night it fills the picture: neither look alone is sure of it
        (case,) = each["cases"]
        assert (case["scene"], case["fate"]) == ("fire_risk", "found")
        assert 0 <= case["after_s"] <= 10
    assert found["holds"] is True
    assert done.stderr.count("fire_model_house 100%") == 1
    plots = {f"{clip}.svg" for clip in ("fire_model_house", "parking_street", "kerb_fire_night")}
    assert {each.name for each in tmp_path.iterdir()} == plots | {"index.html"}
