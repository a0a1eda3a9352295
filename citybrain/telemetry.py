"""How processes say what they do: logs in one form, each line naming its process."""

from __future__ import annotations

import logging
import os
import sys


def start_logging(process: str, *, level: int | None = None) -> None:
    """Write logs to stderr as `time level process module: message`. Without a level `CITYBRAIN_LOG` says it, else INFO."""
    asked = logging.getLevelNamesMapping().get(os.environ.get("CITYBRAIN_LOG", "").upper(), logging.INFO)
    form = logging.Formatter(
        f"%(asctime)s %(levelname)-7s {process:<10} %(name)s: %(message)s", datefmt="%Y-%m-%dT%H:%M:%S%z"
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(form)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(asked if level is None else level)
    # What these say below a warning is of no use here, and holds addresses and headers as they were sent: keys among them.
    for noisy in (
        "boto3",
        "botocore",
        "httpcore",
        "httpx",
        "libav",
        "urllib3",
        "uvicorn.access",
        "uvicorn.error",
        "websockets",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
