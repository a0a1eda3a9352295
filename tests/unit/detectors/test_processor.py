"""Which precision a processor gets."""

import pytest

from detectors.processor import AMD, Processor, this_processor

INTEL = "GenuineIntel"


@pytest.mark.parametrize(
    ("vendor", "flags", "chosen"),
    [
        (INTEL, {"avx2"}, "f32"),
        (INTEL, {"avx2", "avx512_vnni"}, "f32"),
        (INTEL, {"avx512_vnni", "amx_tile", "amx_bf16"}, "bf16"),
        (INTEL, {"avx512_bf16"}, "f32"),
        (AMD, {"avx2"}, "f32"),
        (AMD, {"avx512_vnni"}, "f32"),
        (AMD, {"avx512_vnni", "avx512_bf16"}, "bf16"),
        ("", {"bf16"}, "f32"),
        ("", set(), "f32"),
    ],
)
def test_bf16_is_for_amx_and_for_the_avx512_of_amd(vendor, flags, chosen):
    assert Processor(vendor, frozenset(flags)).precision == chosen


@pytest.mark.parametrize(
    ("flags", "has"), [({"amx_bf16"}, True), ({"avx512_bf16"}, True), ({"avx512_vnni"}, False), (set(), False)]
)
def test_a_processor_has_bf16_or_it_has_not(flags, has):
    assert Processor(INTEL, frozenset(flags)).has_bf16 is has


def test_a_processor_is_read_as_linux_writes_it(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    first = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2 amx_bf16\n"
    cpuinfo.write_text(first + "\nprocessor\t: 1\nvendor_id\t: other\nflags\t\t: fpu\n")
    assert this_processor(cpuinfo) == Processor(AMD, frozenset({"fpu", "avx2", "amx_bf16"}))
    cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n")
    assert this_processor(cpuinfo) == Processor("", frozenset({"fp", "asimd", "bf16"}))
    assert this_processor(tmp_path / "elsewhere") == Processor()
