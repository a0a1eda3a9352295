"""Knows how to make a CUDA-built torchvision importable beside a CPU-only torch.

PyPI's torchvision links its compiled operators against CUDA. Where torch is the CPU build they do not load, and
`import torchvision` stops with "operator torchvision::nms does not exist", which takes ultralytics down with it. Two
names are looked for while it is imported, and of these ultralytics calls only `nms`: it is given here in plain torch.
Where torchvision loads by itself nothing is touched.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# A torch.library.Library takes its operators away when it is collected: it lives as long as the process.
_kept_alive: list[object] = []


def make_torchvision_importable() -> bool:
    """Import torchvision, defining its missing operators first where need be; say whether that was needed.

    Call it before ultralytics is imported. Calling it again does nothing. A torchvision that is absent, or broken in
    another way, raises what its import raises.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    else:
        return False
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]

    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", greedy_nms, "CPU")
    _kept_alive.append(library)
    importlib.import_module("torchvision")
    # torchvision.ops asks this question before each call, and would refuse although `nms` is there now.
    extension: Any = importlib.import_module("torchvision.extension")
    extension._has_ops = lambda: True  # noqa: SLF001 - the only switch there is
    return True


def greedy_nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Indices of the boxes (N, 4; x1 y1 x2 y2) that stay, best score first, as torchvision.ops.nms gives them."""
    import torch

    x1, y1, x2, y2 = boxes.unbind(1)
    areas = (x2 - x1).clamp(min=0) * (y2 - y1).clamp(min=0)
    order = scores.argsort(descending=True, stable=True)
    kept: list[torch.Tensor] = []
    while order.numel():
        best, order = order[0], order[1:]
        kept.append(best)
        width = (torch.minimum(x2[best], x2[order]) - torch.maximum(x1[best], x1[order])).clamp(min=0)
        height = (torch.minimum(y2[best], y2[order]) - torch.maximum(y1[best], y1[order])).clamp(min=0)
        shared = width * height
        iou = shared / (areas[best] + areas[order] - shared).clamp(min=1e-9)
        order = order[iou <= iou_threshold]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.int64, device=boxes.device)
