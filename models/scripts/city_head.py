"""Knows the classes of city-n and how its detection head is cut from heads that were trained on other classes."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "fire", "smoke", "water", "stall")
TRAFFIC = CLASSES[:6]
"""The classes that COCO knows under the same names."""
SCENES = CLASSES[6:]
"""The classes that were added for fire, waterlogging and street order."""

UNTRAINED_SCORE = 0.001
"""What a class that nobody has trained yet starts from: rare enough to raise nothing, alive enough to learn."""


def rows_of(classes: Sequence[str], names: Mapping[int, str]) -> dict[int, int]:
    """Which row of a head with these `names` each of `classes` (by index) can start from; absent ones are left out."""
    index = {name: row for row, name in names.items()}
    return {new: index[name] for new, name in enumerate(classes) if name in index}


def cut_head(model: Any, *, classes: Sequence[str] = CLASSES, donor: Any | None = None) -> Any:
    """A copy of an ultralytics `DetectionModel` whose head knows `classes`, everything else unchanged.

    Only the last 1x1 convolution of each scale's class branch is replaced. A row is copied from the model itself where
    it has a class of that name, else from `donor` (same architecture and widths), else it starts as noise around
    `UNTRAINED_SCORE`. The branch keeps its width of 80, which a head built afresh for ten classes would not.
    """
    import torch

    cut = copy.deepcopy(model).float()
    head = cut.model[-1]
    own_rows = rows_of(classes, model.names)
    donor_rows = rows_of(classes, donor.names) if donor is not None else {}
    generator = torch.Generator().manual_seed(0)
    for scale, branch in enumerate(head.cv3):
        old = branch[-1]
        new = torch.nn.Conv2d(old.in_channels, len(classes), 1)
        with torch.no_grad():
            new.weight.copy_(torch.randn(new.weight.shape, generator=generator) * 0.01)
            new.bias.fill_(math.log(UNTRAINED_SCORE / (1 - UNTRAINED_SCORE)))
            for row, source in donor_rows.items():
                new.weight[row] = donor.model[-1].cv3[scale][-1].weight[source].float()
                new.bias[row] = donor.model[-1].cv3[scale][-1].bias[source].float()
            for row, source in own_rows.items():
                new.weight[row] = old.weight[source].float()
                new.bias[row] = old.bias[source].float()
        branch[-1] = new
    head.nc = len(classes)
    head.no = head.nc + head.reg_max * 4
    cut.nc = len(classes)
    cut.yaml = {**cut.yaml, "nc": len(classes)}
    cut.names = dict(enumerate(classes))
    return cut
