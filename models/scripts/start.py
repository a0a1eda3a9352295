"""Makes the weights that training starts from: COCO's traffic rows, a fire model's rows, the rest untrained.

python models/scripts/start.py --coco yolo11n_coco.pt --fire fire_smoke_yolo11n.pt --out runs/start.pt
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]


def main() -> int:
    """Cut the head and write the checkpoint; 0 when written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coco", type=Path, required=True, help="YOLO11n trained on COCO's 80 classes")
    parser.add_argument("--fire", type=Path, help="a YOLO11n with the classes fire and smoke")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    from detectors.torchvision_guard import make_torchvision_importable

    make_torchvision_importable()
    import torch
    from city_head import cut_head
    from ultralytics import YOLO

    donor = YOLO(str(arguments.fire)).model if arguments.fire else None
    model = cut_head(YOLO(str(arguments.coco)).model, donor=donor)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": model.half(), "ema": None, "epoch": -1, "train_args": {"task": "detect"}}, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
