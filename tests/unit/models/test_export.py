"""Two graphs that read one set of weights, and the head that they are made from."""

from importlib import import_module

export = import_module("export")

XML = b'<net><layers><layer><data element_type="f32" shape="%d" offset="%d" size="%d"/></layer></layers></net>'


def constant(xml, weights):
    entry = next(export.ElementTree.fromstring(xml).iter("data"))
    offset, size = int(entry.attrib["offset"]), int(entry.attrib["size"])
    return weights[offset : offset + size]


def test_constants_that_two_graphs_share_are_kept_once():
    first, second = XML % (8, 0, 32), XML % (8, 16, 32)
    weights = bytes(range(32))
    rewritten, shared = export.share_weights([(first, weights), (second, b"\1" * 16 + weights)])
    assert shared == weights
    assert [constant(xml, shared) for xml in rewritten] == [weights, weights]


def test_what_differs_between_graphs_keeps_its_own_place():
    one, other = b"a" * 32, b"b" * 32
    rewritten, shared = export.share_weights([(XML % (8, 0, 32), one), (XML % (8, 0, 32), other)])
    assert [constant(xml, shared) for xml in rewritten] == [one, other]


def test_an_entry_joins_the_registry_without_touching_the_others(tmp_path):
    path = tmp_path / "registry.yaml"
    export.write_registry(path, name="one", entry={"version": 1})
    export.write_registry(path, name="two", entry={"version": 3})
    export.write_registry(path, name="one", entry={"version": 2})
    models = export.yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    assert models == {"one": {"version": 2}, "two": {"version": 3}}
