"""A table of cameras brought in: whatever spreadsheet wrote it, whole or not at all, and no password in a file of cameras."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
import yaml

from citybrain import cli
from citybrain.domain.coordinates import Crs, to_wgs84
from citybrain.errors import Fault
from ingest import config, environment

PLAIN = "id,name,url\ncam-1,North gate,rtsp://10.0.0.1/sub\ncam-2,South gate,rtsp://10.0.0.2/sub\n"


class Import:
    """A configuration folder, and what the command says and leaves there."""

    def __init__(self, folder: Path, capsys) -> None:
        self.folder, self._capsys = folder, capsys
        shutil.copytree("tests/configs/folders/good", folder)
        self.file = folder / "cameras/west.yaml"
        self.env = folder / "cameras/west.env"
        self.out, self.err = "", ""

    def __call__(self, table: str | bytes, *options: str) -> int:
        path = self.folder.parent / "west.csv"
        path.write_bytes(table if isinstance(table, bytes) else table.encode())
        status = cli.run(["cameras", "import", str(path), "--config", str(self.folder), *options])
        self.out, self.err = self._capsys.readouterr()
        return status

    def entries(self) -> dict[str, dict]:
        return {each["id"]: each for each in yaml.safe_load(self.file.read_text())["cameras"]}

    def addresses(self) -> dict[str, str]:
        """As ingest would open them."""
        faults: list[Fault] = []
        found = {each.id: each.url.get_secret_value() for each in config.load(self.folder, faults)}
        assert faults == []
        return found


@pytest.fixture
def imports(tmp_path, capsys) -> Import:
    return Import(tmp_path / "city", capsys)


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_is_read_whatever_spreadsheet_wrote_it(imports, coding, separator):
    rows = [
        ["设备编码", "点位名称", "取流地址", "经度（度）", "纬度", "网格编码"],
        ["cam-1", "关上中路口", "rtsp://10.0.0.1/sub", "102.7411", "25.0142", "530111001001003"],
    ]
    assert imports("\r\n".join(separator.join(row) for row in rows).encode(coding)) == 0
    assert imports.entries() == {
        "cam-1": {
            "id": "cam-1",
            "name": "关上中路口",
            "url": "rtsp://10.0.0.1/sub",
            "location": {"lon": 102.7411, "lat": 25.0142},
            "grid_cell": "530111001001003",
        }
    }


def test_headings_are_known_in_both_languages_and_the_others_are_named(imports):
    table = 'Camera_ID,Name EN,名称,"RTSP URL",地址,备注,Fixed\nc-1,Bridge,桥,rtsp://10.0.0.1/s,中山路 1 号,x,否\n'
    assert imports(table) == 0
    assert imports.entries()["c-1"] == {
        "id": "c-1",
        "name": {"zh": "桥", "en": "Bridge"},
        "url": "rtsp://10.0.0.1/s",
        "fixed": False,
    }
    assert "columns that say nothing to citybrain: 地址, 备注" in imports.out


PASSWORDS = ["secret", "p@ss", "p%40ss", "a:b", "it's $x", "k#1", 'q"\\w', "密码"]


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_never_lands_in_the_file_of_cameras(imports, password):
    assert imports(f'id,url\nc-1,"rtsp://admin:{password.replace(chr(34), chr(34) * 2)}@10.0.0.1/sub"\n') == 0
    assert password not in imports.file.read_text() + imports.out + imports.err
    assert imports.entries()["c-1"]["url"] == "rtsp://${CAM_WEST_USER}:${CAM_WEST_PASSWORD}@10.0.0.1/sub"
    assert stat.S_IMODE(imports.env.stat().st_mode) == 0o600
    assert f"{imports.env} holds 2 variables" in imports.out
    assert environment.read(imports.env, faults=[]) == {"CAM_WEST_USER": "admin", "CAM_WEST_PASSWORD": password}
    assert "@10.0.0.1/sub" in imports.addresses()["c-1"]


def test_a_shell_reads_the_env_file_as_we_do(imports, tmp_path):
    import subprocess

    path = tmp_path / "x.env"
    variables = {f"V{n}": password for n, password in enumerate(PASSWORDS)}
    path.write_text(environment.write(variables))
    shown = subprocess.run(
        ["sh", "-c", f". {path}; " + "; ".join(f'printf "%s\\n" "${name}"' for name in variables)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.splitlines() == PASSWORDS
    path.chmod(0o600)
    assert environment.read(path, faults=[]) == variables


def test_each_distinct_login_has_one_pair_of_variables_also_next_time(imports):
    table = (
        "编号,取流地址,用户名,密码\n"
        "c-1,rtsp://10.0.0.1/s,admin,one\nc-2,rtsp://10.0.0.2/s,admin,two\nc-3,rtsp://10.0.0.3/s,admin,one\n"
        "c-4,rtsp://10.0.0.4/s?token=t0ken&x=1,,\n"
    )
    assert imports(table) == 0
    urls = {id: entry["url"] for id, entry in imports.entries().items()}
    assert urls["c-1"].startswith("rtsp://${CAM_WEST_USER}:${CAM_WEST_PASSWORD}@")
    assert urls["c-2"].startswith("rtsp://${CAM_WEST_USER_2}:${CAM_WEST_PASSWORD_2}@")
    assert urls["c-3"].startswith("rtsp://${CAM_WEST_USER}:${CAM_WEST_PASSWORD}@")
    assert urls["c-4"] == "rtsp://10.0.0.4/s?token=${CAM_WEST_SECRET_1}&x=1"
    assert imports.addresses()["c-4"] == "rtsp://10.0.0.4/s?token=t0ken&x=1"
    before = imports.file.read_text()
    lines = table.splitlines()
    assert imports("\n".join([lines[0], *reversed(lines[1:])])) == 0
    assert imports.file.read_text() == before
    assert "0 added, 0 changed, 4 unchanged" in imports.out


def test_nothing_is_written_unless_every_row_is_good_and_each_fault_has_line_column_and_remedy(imports):
    table = (
        "编号,取流地址,经度,纬度,坐标系,网格编码,密码\n"
        "c 1,rtsp://10.0.0.1/s,,,,,\n"
        "c-2,rstp://u:hunter2@10.0.0.2/s,,,,,\n"
        "c-3,rtsp://10.0.0.3/s,25.0142,102.7411,,,\n"
        "c-4,rtsp://10.0.0.4/s,12950000.5,4850000.1,bd09,,\n"
        "c-5,rtsp://10.0.0.5/s,102.7,25.0,mars,,\n"
        "c-6,rtsp://10.0.0.6/s,102.7,,,,\n"
        "c-7,rtsp://10.0.0.7/s,0,0,,,\n"
        "c-8,rtsp://10.0.0.8/s,2.35,48.85,gcj02,,\n"
        "c-9,rtsp://10.0.0.9/s,,,,5.30111E+14,\n"
        "c-10,rtsp://10.0.0.10/s,,,,5301,\n"
        "3.402E+19,rtsp://10.0.0.11/s,,,,,\n"
        "c-2,rtsp://10.0.0.12/s,,,,,\n"
        "c-13,rtsp://10.0.0.13/s,,,,,,too,many\n"
        "gd-0001,rtsp://10.0.0.14/s,,,,,\n"
        "c-15,,,,,,\n"
        "c-16,rtsp://10.0.0.16/s,,,,,good\n"
    )
    assert imports(table) == 2
    assert not imports.file.exists()
    assert not imports.env.exists()
    said = imports.err
    for line, column, what in [
        (2, "编号", "expected up to 63 letters"),
        (3, "取流地址", "begins with 'rstp:'"),
        (4, "经度", "25.0142, 102.7411 look exchanged"),
        (5, "经度", "They look like metres (BD-09 MC"),
        (6, "坐标系", "expected wgs84, gcj02 or bd09, got 'mars'"),
        (7, "纬度", "expected degrees, got ''"),
        (8, "经度", "Leave both empty"),
        (9, "经度", "outside China, where no gcj02 is"),
        (10, "网格编码", "was rounded by a spreadsheet. Format the column as text"),
        (11, "网格编码", "expected 15 digits"),
        (12, "编号", "was rounded by a spreadsheet"),
        (13, "编号", "'c-2' stands in line 3 too"),
        (15, "编号", "cameras.yaml already"),
        (16, "取流地址", "has no scheme"),
    ]:
        (found,) = [each for each in said.splitlines() if f"line {line}, column " in each]
        assert f"line {line}, column {column}: " in found
        assert what in found
    assert "line 14: has 9 cells for 7 columns" in said
    assert "nothing is written: 15 faults" in said
    assert "hunter2" not in said + imports.out


def test_faulty_rows_are_skipped_when_that_is_asked_and_are_told(imports):
    assert imports(PLAIN + "bad id,,rtsp://10.0.0.3/s\n", "--skip-faulty") == 0
    assert list(imports.entries()) == ["cam-1", "cam-2"]
    assert "skipped: " in imports.err
    assert "line 4, column id" in imports.err


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("", "is empty"),
        ("name,url\nx,rtsp://10.0.0.1/s\n", "has no column for id. Name it one of: id, camera"),
        ("id,编号,url\na,b,rtsp://10.0.0.1/s\n", "has two columns for id: id, 编号"),
        (b"PK\x03\x04\0\0\xff\xff\x81", "is no text in UTF-8 or GB18030. Save the table as CSV"),
        ('id,url\n"c-1,rtsp://10.0.0.1/s\n', "unexpected end of data"),
    ],
)
def test_what_is_no_table_is_told(imports, table, fault):
    assert imports(table) == 2
    assert fault in imports.err


def test_what_people_wrote_into_the_file_stays_and_what_the_table_says_changes(imports):
    assert imports(PLAIN) == 0
    entries = imports.entries()
    zone = {"id": "kerb", "kind": "no_parking", "polygon": [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]}
    entries["cam-1"] |= {"zones": [zone], "look_every": "2s", "name": {"zh": "North gate", "en": "The north gate"}}
    imports.file.write_text(yaml.safe_dump({"cameras": list(entries.values())}, allow_unicode=True))
    assert (
        imports("id,name,url,lon,lat\ncam-1,North gate,rtsp://10.0.0.9/sub,102.7,25.0\ncam-3,,rtsp://10.0.0.3/s,,\n")
        == 0
    )
    now = imports.entries()
    assert now["cam-1"] == entries["cam-1"] | {"url": "rtsp://10.0.0.9/sub", "location": {"lon": 102.7, "lat": 25.0}}
    assert list(now) == ["cam-1", "cam-2", "cam-3"]
    assert "1 added, 1 changed, 0 unchanged, 0 removed, 1 kept" in imports.out
    assert "changed: cam-1: url, location" in imports.out
    assert "kept, for no good row names them: cam-2" in imports.out


def test_what_the_table_no_longer_names_goes_only_when_it_replaces(imports):
    assert imports(PLAIN) == 0
    one = "id,name,url\ncam-1,North gate,rtsp://10.0.0.1/sub\n"
    assert imports(one, "--replace", "--dry-run") == 0
    assert "removed: cam-2" in imports.out
    assert "dry run" in imports.out
    assert list(imports.entries()) == ["cam-1", "cam-2"]
    assert imports(one, "--replace") == 0
    assert list(imports.entries()) == ["cam-1"]


def test_a_camera_whose_row_is_faulty_is_not_one_that_the_table_does_not_name(imports):
    assert imports(PLAIN) == 0
    assert imports(PLAIN.replace("rtsp://10.0.0.2/sub", "nowhere"), "--replace", "--skip-faulty") == 0
    assert imports.entries()["cam-2"]["url"] == "rtsp://10.0.0.2/sub"


@pytest.mark.parametrize(("word", "crs"), [("gcj02", Crs.GCJ02), ("百度坐标", Crs.BD09), ("CGCS2000", Crs.WGS84)])
def test_coordinates_of_chinese_maps_become_those_of_the_standard(imports, word, crs):
    assert imports(f"id,url,lon,lat,坐标系\nc-1,rtsp://10.0.0.1/s,102.7411,25.0142,{word}\n") == 0
    lon, lat = to_wgs84((102.7411, 25.0142), crs)
    assert imports.entries()["c-1"]["location"] == {"lon": round(lon, 7), "lat": round(lat, 7)}


def test_a_camera_that_moves_by_half_a_kilometre_between_two_imports_is_told_how_far(imports):
    table = "id,url,lon,lat\nc-1,rtsp://10.0.0.1/s,102.7411,25.0142\n"
    assert imports(table) == 0
    assert imports(table, "--crs", "gcj02", "--dry-run") == 0
    assert "changed: c-1: location (by " in imports.out


def test_a_password_file_that_others_can_read_is_a_fault(imports):
    assert imports("id,url\nc-1,rtsp://admin:x@10.0.0.1/s\n") == 0
    imports.env.chmod(0o644)
    faults: list[Fault] = []
    config.load(imports.folder, faults)
    assert any("can be read by others (mode 644)" in each.message and "chmod 600" in each.remedy for each in faults)


def test_the_file_beside_goes_before_the_environment_for_its_own_cameras_only(imports, monkeypatch):
    assert imports("id,url\nc-1,rtsp://admin:inside@10.0.0.1/s\n") == 0
    monkeypatch.setenv("CAM_WEST_PASSWORD", "around")
    assert imports.addresses()["c-1"] == "rtsp://admin:inside@10.0.0.1/s"
    imports.env.unlink()
    monkeypatch.setenv("CAM_WEST_USER", "admin")
    assert imports.addresses()["c-1"] == "rtsp://admin:around@10.0.0.1/s"
    assert "CAM_WEST_USER" in os.environ


@pytest.mark.parametrize("line", ["NAME", "1A=x", "A='x", 'A="a"b"', "- a"])
def test_a_line_of_an_env_file_that_means_nothing_is_a_fault(tmp_path, line):
    path = tmp_path / "x.env"
    path.touch(mode=0o600)
    path.write_text(f"# passwords\n\nexport GOOD='x y'\n{line}\n")
    faults: list[Fault] = []
    assert environment.read(path, faults=faults) == {"GOOD": "x y"}
    assert [each.key for each in faults] == ["line 4"]


def test_a_name_that_is_no_file_name_is_refused(imports):
    assert imports(PLAIN, "--name", "../west") == 2
    assert "expected letters, digits" in imports.err
