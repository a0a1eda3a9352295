"""Which precision a processor gets."""

import pytest

from detectors.processor import flags, precision


@pytest.mark.parametrize(
    ("available", "chosen"),
    [
        ({"avx2"}, "f32"),
        ({"avx2", "avx512_vnni"}, "f32"),
        ({"avx512_vnni", "amx_tile", "amx_bf16"}, "bf16"),
        ({"avx512_bf16"}, "f32"),
        (set(), "f32"),
    ],
)
def test_amx_gets_bf16_and_others_f32(available, chosen):
    assert precision(available) == chosen


def test_flags_are_read_as_linux_writes_them(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu avx2 amx_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert flags(cpuinfo) == {"fpu", "avx2", "amx_bf16"}
    assert flags(tmp_path / "elsewhere") == frozenset()
