"""Trains city-n on the tables that the dataset scripts wrote, on a CPU, with a checkpoint after each epoch.

    python models/scripts/train.py --start runs/start.pt --tables train/*.csv --out runs/city-n --epochs 8

Running the same command again goes on after the last epoch that was finished. What COCO taught is kept by small steps:
the first layers stay as they are, the rest of the backbone moves least, and no batch statistic is re-estimated.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "dataset"), str(HERE.parents[1])]

import boxes  # noqa: E402 - scripts are run as files; their folder is put on the path first
import manifest  # noqa: E402
from augment import Labels, Picture, canvas_of  # noqa: E402

BACKBONE_END = 11
HEAD = 23
GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}
"""How box, class and distribution losses are weighed: ultralytics' own defaults."""


class Pictures:
    """The training split of some tables, kept encoded in memory and drawn with a weight for each source."""

    def __init__(self, tables: list[Path], weights: dict[str, float]) -> None:
        entries = [entry for entry in manifest.read(tables) if entry.split == "train"]
        self._encoded = [np.frombuffer(entry.picture.read_bytes(), np.uint8) for entry in entries]
        self._labels = [np.array(boxes.read(entry.labels), np.float32).reshape(-1, 5) for entry in entries]
        chances = np.array([weights.get(entry.source, 1.0) for entry in entries])
        self._chances = chances / chances.sum()
        self.sources = Counter(entry.source for entry in entries)

    def __len__(self) -> int:
        return len(self._encoded)

    def drawer(self, random: np.random.Generator) -> Any:
        """A function that gives the next (picture, labels) of an endless weighted draw without early repeats."""

        def endless() -> Iterator[int]:
            while True:
                yield from random.choice(len(self), size=len(self), replace=False, p=self._chances)

        order = endless()

        def draw() -> tuple[Picture, Labels]:
            index = next(order)
            picture = cv2.imdecode(self._encoded[index], cv2.IMREAD_COLOR)
            assert picture is not None
            return picture, self._labels[index]

        return draw


def batches(
    pictures: Pictures, *, count: int, batch: int, size: tuple[int, int], mosaic: float, seed: int
) -> Iterator[tuple[np.ndarray[Any, Any], Labels]]:
    """`count` batches, prepared one ahead by a thread: (N, 3, H, W) RGB bytes and (M, 6) labels in pixels.

    A label row is picture index in the batch, class, left, top, right, bottom.
    """
    random = np.random.default_rng(seed)
    draw = pictures.drawer(random)
    ready: Queue[tuple[np.ndarray[Any, Any], Labels] | None] = Queue(maxsize=4)

    def prepare() -> None:
        for _ in range(count):
            canvases, rows = [], []
            for index in range(batch):
                canvas, labels = canvas_of(draw, size=size, mosaic=mosaic, random=random)
                canvases.append(canvas[..., ::-1].transpose(2, 0, 1))
                rows.append(np.hstack([np.full((len(labels), 1), index, np.float32), labels]))
            ready.put((np.stack(canvases), np.concatenate(rows)))
        ready.put(None)

    threading.Thread(target=prepare, daemon=True).start()
    while (item := ready.get()) is not None:
        yield item


def as_batch(images: np.ndarray[Any, Any], rows: Labels) -> dict[str, Any]:
    """What ultralytics' loss wants: float images and boxes as centre and size, 0..1."""
    import torch

    height, width = images.shape[2:]
    sides = torch.from_numpy(rows[:, 2:].astype(np.float32)) / torch.tensor([width, height, width, height])
    return {
        "img": (torch.from_numpy(images).float() / 255).contiguous(memory_format=torch.channels_last),
        "batch_idx": torch.from_numpy(rows[:, 0].copy()),
        "cls": torch.from_numpy(rows[:, 1:2].copy()),
        "bboxes": torch.cat([(sides[:, :2] + sides[:, 2:]) / 2, sides[:, 2:] - sides[:, :2]], 1),
    }


def parameter_groups(model: Any, *, freeze: int, rate: float) -> list[dict[str, Any]]:
    """Layers below `freeze` stand still; backbone, neck and head learn at a fifth, a half and the whole rate."""
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in model.named_parameters():
        layer = int(name.split(".")[1])
        parameter.requires_grad = layer >= freeze and ".dfl." not in name
        if not parameter.requires_grad:
            continue
        share = 0.2 if layer < BACKBONE_END else 0.5 if layer < HEAD else 1.0
        decay = 5e-4 if parameter.ndim > 1 else 0.0
        groups.setdefault((share, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate * share, "peak": rate * share, "weight_decay": decay}
        for (share, decay), parameters in groups.items()
    ]


def rate_factor(step: int, steps: int, *, warm: int = 40) -> float:
    """Share of the peak rate at a step: a short linear rise, then a cosine down to 3 %."""
    if step < warm:
        return (step + 1) / warm
    return 0.03 + 0.97 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2


def train(arguments: argparse.Namespace) -> None:
    """Train as the arguments say, from the last finished epoch if there is one."""
    import torch
    from ultralytics import YOLO
    from ultralytics.utils import IterableSimpleNamespace

    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    weights = {key: float(value) for key, value in (item.split("=") for item in arguments.weight)}
    pictures = Pictures(arguments.tables, weights)
    print("pictures", len(pictures), dict(pictures.sources), flush=True)

    model = YOLO(str(arguments.start)).model.float()
    model.args = IterableSimpleNamespace(**GAINS)
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(parameter_groups(model, freeze=arguments.freeze, rate=arguments.rate))
    average = copy.deepcopy(model).eval()
    last = arguments.out / "last.pt"
    progress = arguments.out / "progress.pt"
    first = 0
    if progress.exists():
        state = torch.load(progress, weights_only=False)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1
    arguments.out.mkdir(parents=True, exist_ok=True)

    per_epoch = max(1, (arguments.per_epoch or len(pictures)) // arguments.batch)
    steps = per_epoch * arguments.epochs
    for epoch in range(first, arguments.epochs):
        closing = epoch >= arguments.epochs - arguments.closing
        size = tuple(arguments.size if closing else arguments.early_size)
        # Statistics of a batch of 16 mixed scenes are worse than those of the street pictures that COCO's were
        # estimated on, so BatchNorm keeps its own in training too.
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        began = time.perf_counter()
        sums = torch.zeros(3)
        feed = batches(
            pictures,
            count=per_epoch,
            batch=arguments.batch,
            size=size,
            mosaic=0.0 if closing else arguments.mosaic,
            seed=arguments.seed * 1000 + epoch,
        )
        for index, (images, rows) in enumerate(feed):
            step = epoch * per_epoch + index
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate_factor(step, steps)
            loss, items = model(as_batch(images, rows))
            optimizer.zero_grad(set_to_none=True)
            (loss.sum() / arguments.batch).backward()
            torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 10.0)
            optimizer.step()
            keep = min(0.995, (1 + step) / (10 + step))
            with torch.no_grad():
                for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                    if fast.requires_grad:
                        slow.lerp_(fast, 1 - keep)
            sums += torch.stack(list(items.values()))
            if index % 20 == 0:
                seconds = (time.perf_counter() - began) / (index + 1)
                parts = " ".join(f"{name} {value:.3f}" for name, value in zip(GAINS, sums / (index + 1), strict=True))
                print(f"epoch {epoch} {size} batch {index}/{per_epoch} {seconds:.2f} s each: {parts}", flush=True)
        shipped = copy.deepcopy(average).half()
        shipped.criterion = None
        torch.save({"model": shipped, "ema": None, "epoch": epoch, "train_args": {"task": "detect"}}, last)
        torch.save(
            {
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "epoch": epoch,
            },
            progress,
        )
        print(f"epoch {epoch} took {time.perf_counter() - began:.0f} s", flush=True)


def main() -> int:
    """Read the arguments and train; 0 when all epochs are done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, required=True, help="weights to start from (scripts/start.py)")
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="tables of the dataset scripts")
    parser.add_argument("--out", type=Path, required=True, help="last.pt and progress.pt go here")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--closing", type=int, default=2, help="last epochs, at full size and without mosaic")
    parser.add_argument("--size", type=int, nargs=2, default=(384, 640), help="height and width of the last epochs")
    parser.add_argument("--early-size", type=int, nargs=2, default=(288, 480), help="of the epochs before them")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--per-epoch", type=int, help="pictures an epoch; all of them unless said")
    parser.add_argument("--weight", nargs="*", default=[], metavar="SOURCE=TIMES", help="draw a source more or less")
    parser.add_argument("--mosaic", type=float, default=0.3)
    parser.add_argument("--freeze", type=int, default=5, help="layers below this stay as they are")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1, help="more than one pays on an otherwise idle machine only")
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()

    from detectors.torchvision_guard import make_torchvision_importable

    make_torchvision_importable()
    train(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
