"""Averages checkpoints of one training: the mean of neighbouring epochs errs less than either.

python models/scripts/average.py runs/leg6/last.pt runs/leg7/last.pt --out runs/city-n.pt
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]


def main() -> int:
    """Write the mean of the checkpoints; 0 when written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    from detectors.torchvision_guard import make_torchvision_importable

    make_torchvision_importable()
    import torch
    from ultralytics import YOLO

    models = [YOLO(str(path)).model.float() for path in arguments.checkpoints]
    states = [model.state_dict() for model in models]
    mean = {
        name: torch.stack([state[name] for state in states]).mean(0) if value.is_floating_point() else value
        for name, value in states[0].items()
    }
    models[0].load_state_dict(mean)
    torch.save({"model": models[0].half(), "ema": None, "epoch": -1, "train_args": {"task": "detect"}}, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
