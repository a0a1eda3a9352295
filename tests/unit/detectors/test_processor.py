"""Which precision a processor gets."""

import pytest

from detectors.processor import flags, precision


@pytest.mark.parametrize(
    ("available", "int8", "chosen"),
    [
        ({"avx2"}, True, "int8"),
        ({"avx2"}, False, "f32"),
        ({"sse4_2"}, True, "f32"),
        ({"avx2", "avx512_vnni"}, True, "int8"),
        ({"avx2", "avx_vnni"}, True, "int8"),
        ({"avx2", "avx512_vnni"}, False, "f32"),
        ({"avx512_vnni", "amx_tile", "amx_bf16"}, True, "bf16"),
        ({"avx512_bf16"}, False, "f32"),
        (set(), False, "f32"),
    ],
)
def test_amx_gets_bf16_avx2_gets_int8_where_there_is_such_a_model_and_others_f32(available, int8, chosen):
    assert precision(available, int8=int8) == chosen


def test_flags_are_read_as_linux_writes_them(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu avx2 amx_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert flags(cpuinfo) == {"fpu", "avx2", "amx_bf16"}
    assert flags(tmp_path / "elsewhere") == frozenset()
