"""What is installed is what was tested: pinned, hashed, from any index, with one OpenCV."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.unit.tools.checkout import LISTS, ROOT, pins, pyproject

BEYOND_ONE_MACHINE = ["kafka", "postgres", "redis", "s3"]
EXTRAS = {
    "requirements-city.txt": BEYOND_ONE_MACHINE,
    "requirements-ultralytics.txt": ["ultralytics"],
    "requirements-test.txt": ["test", *BEYOND_ONE_MACHINE],
}
CHOSEN_BY_THE_MACHINE = {"torch", "torchvision"}


@pytest.mark.parametrize("name", LISTS)
def test_every_package_of_a_list_is_pinned_and_hashed(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    packages = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert len(packages) > 20
    for line in packages:
        assert re.match(r"[a-z0-9._-]+==\S+ ", line), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line


@pytest.mark.parametrize("name", [*LISTS, "requirements-torch.txt"])
def test_a_list_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|--index-url|--extra-index-url|--find-links|--trusted-host", text)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_holds_what_the_project_asks_for_within_its_ranges(name: str) -> None:
    project = pyproject()["project"]
    wanted = list(project["dependencies"])
    for extra in EXTRAS.get(name, []):
        wanted += project["optional-dependencies"][extra]
    pinned = pins(name)
    for text in wanted:
        requirement = Requirement(text)
        if requirement.name in CHOSEN_BY_THE_MACHINE:
            continue
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{name} lacks {requirement.name}: make lock"
        assert requirement.specifier.contains(version), f"{name} has {requirement.name} {version}, not {requirement}"


def test_the_lists_agree_with_one_another() -> None:
    agreed: dict[str, str] = {}
    for name in LISTS:
        for package, version in pins(name).items():
            assert agreed.setdefault(package, version) == version, f"{name}: {package}"


def test_one_machine_installs_a_part_of_what_the_city_installs() -> None:
    one, city = pins("requirements.txt"), pins("requirements-city.txt")
    assert one.items() < city.items()
    assert not {"aiokafka", "boto3", "faust-streaming", "psycopg", "redis", "rocksdict"} & one.keys()


def test_nobody_pulls_torch_unasked() -> None:
    for name in LISTS:
        assert not {package for package in pins(name) if package.startswith(("torch", "nvidia-c", "triton"))}, name
    assert "ultralytics" not in pins("requirements.txt")
    extra = {
        Requirement(text).name: Requirement(text)
        for text in pyproject()["project"]["optional-dependencies"]["ultralytics"]
    }
    chosen = pins("requirements-torch.txt")
    assert set(chosen) == CHOSEN_BY_THE_MACHINE
    for package, version in chosen.items():
        assert str(extra[package].specifier) == f"=={version}"


def test_the_stand_in_for_opencv_python_follows_the_real_one() -> None:
    stand_in = tomllib.loads((ROOT / "requirements/opencv-python/pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    version = pins("requirements.txt")["opencv-python-headless"]
    assert stand_in["name"] == "opencv-python"
    assert stand_in["version"] == f"{version}+headless"
    assert stand_in["dependencies"] == [f"opencv-python-headless=={version}"]


def test_exactly_one_distribution_owns_opencv() -> None:
    owners = {
        distribution.metadata["Name"]
        for distribution in distributions()
        if any(file.parts[0] == "cv2" for file in distribution.files or [])
    }
    assert owners == {"opencv-python-headless"}
