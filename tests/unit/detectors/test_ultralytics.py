"""What the ultralytics backend says when it cannot work, and that it keeps its hands to itself."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from detectors.registry import find_models
from detectors.verify import verify
from tests.unit.detectors.drawing import detector

ROOT = Path(__file__).resolve().parents[3]
needs_ultralytics = pytest.mark.skipif(
    importlib.util.find_spec("ultralytics") is None, reason="ultralytics is not installed (make install-ultralytics)"
)

WITHOUT = """
import sys
from pathlib import Path

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "ultralytics"):
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Absent())
from detectors.config import load
from detectors.verify import verify
print(*verify(load(Path(sys.argv[1]), faults=[])["city"], load=True))
"""


@pytest.fixture
def own(tmp_path):
    """A detector with a file of the user's own, which is no model."""
    (tmp_path / "own.pt").write_bytes(b"this is no model")
    return detector(tmp_path, backend="ultralytics", model="own.pt", labels={"car": "car"})


def test_without_the_extra_it_says_how_to_install_it(own, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "the backend 'ultralytics' is not installed" in done.stdout
    assert "make install-ultralytics" in done.stdout
    assert "choose `backend: openvino`" in done.stdout


@needs_ultralytics
def test_a_file_that_is_no_model_is_unusable(own):
    (fault,) = verify(own, load=True)
    assert fault.message.startswith("own.pt: cannot be loaded")


def test_a_file_that_is_gone_is_told_without_loading(own, tmp_path):
    (tmp_path / "own.pt").unlink()
    (fault,) = verify(own, load=False)
    assert "there is no file" in fault.message


@needs_ultralytics
def test_nothing_is_written_into_the_users_home(tmp_path):
    if not (find_models(ROOT / "configs") / "registry.yaml").is_file():
        pytest.skip(f"there is no registry of models in {find_models(ROOT / 'configs')}")
    home = tmp_path / "home"
    home.mkdir()
    detector(tmp_path, backend="ultralytics", model="city-n")
    script = (
        "import sys; from pathlib import Path; from detectors.config import load; from detectors.verify import verify\n"
        "assert verify(load(Path(sys.argv[1]), faults=[])['city'], load=True) == []\n"
        "from ultralytics.utils import AUTOINSTALL, ONLINE; print(AUTOINSTALL, ONLINE)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("YOLO_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment | {"HOME": str(home)},
    )
    assert done.stdout.splitlines()[-1] == "False False"
    assert list(home.rglob("*")) == []
