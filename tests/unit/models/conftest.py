"""Puts the scripts of models/ where tests can import them: they are files to run, not a package."""

import sys
from pathlib import Path

MODELS = Path(__file__).resolve().parents[3] / "models"

for folder in (MODELS / "scripts", MODELS / "scripts" / "dataset"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
