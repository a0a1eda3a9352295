"""Procedural materials: asphalt, paving, walls, car paint, glass, cloth, water; no picture files."""

import bpy

Colour = tuple[float, float, float]
Material = bpy.types.Material


def plain(
    colour: Colour, *, rough: float = 0.6, metal: float = 0.0, coat: float = 0.0, glow: float = 0.0, gloss: float = 0.5
) -> Material:
    """One colour (linear RGB 0..1); `glow` is the emission's strength."""
    name = f"plain {tuple(round(c, 3) for c in colour)} {rough} {metal} {coat} {glow} {gloss}"[:63]
    if name in bpy.data.materials:
        return bpy.data.materials[name]
    material, surface = _principled(name)
    surface["Base Color"].default_value = (*colour, 1)
    surface["Roughness"].default_value = rough
    surface["Metallic"].default_value = metal
    surface["Coat Weight"].default_value = coat
    surface["Specular IOR Level"].default_value = gloss
    if glow:
        surface["Emission Color"].default_value = (*colour, 1)
        surface["Emission Strength"].default_value = glow
    return material


def paint(colour: Colour) -> Material:
    return plain(colour, rough=0.35, metal=0.15, coat=0.8)


def glass() -> Material:
    return plain((0.012, 0.016, 0.02), rough=0.08)


def grainy(
    colour: Colour, *, contrast: float, scale: float, rough: float, wet: float = 0.0, seed: float = 0.0
) -> Material:
    """Noise on two scales, for asphalt, concrete, plaster. `wet` 0..1 darkens it and lays patches of mirror over it."""
    material, surface = _principled(f"grainy {colour} {seed} {wet}"[:63])
    fine = _noise(material, scale=scale, detail=6, seed=seed)
    broad = _noise(material, scale=0.25, detail=4, seed=seed + 7)
    mixed = _math(material, "ADD", _math(material, "MULTIPLY", fine, 0.5), _math(material, "MULTIPLY", broad, 0.5))
    ramp = material.node_tree.nodes.new("ShaderNodeValToRGB")
    dark = 1 - 0.45 * wet
    for element, gain in zip(ramp.color_ramp.elements, (1 - contrast, 1 + contrast), strict=True):
        element.color = (*(min(1, c * gain * dark) for c in colour), 1)
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.35, 0.65
    link = material.node_tree.links.new
    link(mixed, ramp.inputs["Fac"])
    link(ramp.outputs["Color"], surface["Base Color"])
    if wet:
        patch = _range(material, _noise(material, scale=0.6, detail=5, seed=seed + 3), (0.25, 0.80))
        mapped = material.node_tree.nodes.new("ShaderNodeMapRange")
        mapped.inputs["To Min"].default_value = 0.06 + 0.3 * (1 - wet)
        mapped.inputs["To Max"].default_value = 0.45
        link(patch, mapped.inputs["Value"])
        link(mapped.outputs["Result"], surface["Roughness"])
    else:
        surface["Roughness"].default_value = rough
        _bump(material, surface, fine, strength=0.25, distance=0.01)
    return material


def blocks(
    colour: Colour, joint: Colour, *, scale: float, seed: float = 0.0, wet: float = 0.0, rough: float = 0.8
) -> Material:
    """Laid blocks: bricks, paving, kerb stones."""
    material, surface = _principled(f"blocks {colour} {scale} {seed} {wet}"[:63])
    brick = material.node_tree.nodes.new("ShaderNodeTexBrick")
    place = _mapping(material, seed)
    dark = 1 - 0.4 * wet
    brick.inputs["Color1"].default_value = (*(c * dark for c in colour), 1)
    brick.inputs["Color2"].default_value = (*(c * 0.75 * dark for c in colour), 1)
    brick.inputs["Mortar"].default_value = (*joint, 1)
    brick.inputs["Scale"].default_value = scale
    brick.inputs["Mortar Size"].default_value = 0.012
    stain = material.node_tree.nodes.new("ShaderNodeMixRGB")
    stain.blend_type = "MULTIPLY"
    stain.inputs["Fac"].default_value = 0.55
    link = material.node_tree.links.new
    link(place, brick.inputs["Vector"])
    link(brick.outputs["Color"], stain.inputs["Color1"])
    grey = material.node_tree.nodes.new("ShaderNodeValToRGB")
    grey.color_ramp.elements[0].color = (0.4, 0.4, 0.4, 1)
    grey.color_ramp.elements[0].position, grey.color_ramp.elements[1].position = 0.3, 0.7
    link(_noise(material, scale=0.5, detail=5, seed=seed), grey.inputs["Fac"])
    link(grey.outputs["Color"], stain.inputs["Color2"])
    link(stain.outputs["Color"], surface["Base Color"])
    surface["Roughness"].default_value = rough - 0.5 * wet
    return material


def worn(colour: Colour, *, seed: float = 0.0) -> Material:
    """Road marking: paint with parts rubbed away down to a grey."""
    material, surface = _principled(f"worn {colour} {seed}"[:63])
    ramp = material.node_tree.nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].color = (0.09, 0.09, 0.09, 1)
    ramp.color_ramp.elements[1].color = (*colour, 1)
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.33, 0.43
    link = material.node_tree.links.new
    link(_noise(material, scale=3, detail=8, seed=seed), ramp.inputs["Fac"])
    link(ramp.outputs["Color"], surface["Base Color"])
    surface["Roughness"].default_value = 0.7
    return material


def leaves(colour: Colour) -> Material:
    material, surface = _principled(f"leaves {colour}"[:63])
    ramp = material.node_tree.nodes.new("ShaderNodeValToRGB")
    for element, gain in zip(ramp.color_ramp.elements, (0.35, 1.5), strict=True):
        element.color = (*(c * gain for c in colour), 1)
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.35, 0.65
    link = material.node_tree.links.new
    link(_noise(material, scale=4, detail=4, seed=1), ramp.inputs["Fac"])
    link(ramp.outputs["Color"], surface["Base Color"])
    surface["Roughness"].default_value = 0.7
    return material


def flood_water(colour: Colour, *, seed: float = 0.0) -> Material:
    """Muddy standing water: opaque, mirror-like, lightly rippled."""
    material, surface = _principled(f"water {colour} {seed}"[:63])
    surface["Base Color"].default_value = (*colour, 1)
    surface["Roughness"].default_value = 0.06
    surface["IOR"].default_value = 1.6
    _bump(material, surface, _noise(material, scale=2.2, detail=3, seed=seed), strength=0.18, distance=0.05)
    return material


def _principled(name: str) -> tuple[Material, bpy.types.NodeInputs]:
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    return material, material.node_tree.nodes["Principled BSDF"].inputs


def _mapping(material: Material, seed: float) -> bpy.types.NodeSocket:
    nodes = material.node_tree.nodes
    where, place = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeMapping")
    place.inputs["Location"].default_value = (seed * 13.7, seed * 5.1, 0)
    material.node_tree.links.new(where.outputs["Object"], place.inputs["Vector"])
    return place.outputs["Vector"]


def _noise(material: Material, *, scale: float, detail: float, seed: float) -> bpy.types.NodeSocket:
    noise = material.node_tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = scale
    noise.inputs["Detail"].default_value = detail
    material.node_tree.links.new(_mapping(material, seed), noise.inputs["Vector"])
    return noise.outputs["Fac"]


def _math(
    material: Material, operation: str, a: bpy.types.NodeSocket, b: bpy.types.NodeSocket | float
) -> bpy.types.NodeSocket:
    node = material.node_tree.nodes.new("ShaderNodeMath")
    node.operation = operation
    material.node_tree.links.new(a, node.inputs[0])
    if isinstance(b, float):
        node.inputs[1].default_value = b
    else:
        material.node_tree.links.new(b, node.inputs[1])
    return node.outputs["Value"]


def _range(material: Material, value: bpy.types.NodeSocket, span: tuple[float, float]) -> bpy.types.NodeSocket:
    node = material.node_tree.nodes.new("ShaderNodeMapRange")
    node.inputs["From Min"].default_value, node.inputs["From Max"].default_value = span
    material.node_tree.links.new(value, node.inputs["Value"])
    return node.outputs["Result"]


def _bump(
    material: Material, surface: bpy.types.NodeInputs, height: bpy.types.NodeSocket, *, strength: float, distance: float
) -> None:
    bump = material.node_tree.nodes.new("ShaderNodeBump")
    bump.inputs["Strength"].default_value = strength
    bump.inputs["Distance"].default_value = distance
    material.node_tree.links.new(height, bump.inputs["Height"])
    material.node_tree.links.new(bump.outputs["Normal"], surface["Normal"])
