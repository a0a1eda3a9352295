"""The passwords beside a file of cameras: `west.env` holds what `west.yaml` writes as ${NAME}, readable by its owner only."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path

from citybrain.errors import Fault

_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)", re.DOTALL)
_BARE = re.compile(r"[A-Za-z0-9_%+,./:=@^~-]*")
_REMEDY = "Write NAME=value, one to a line; put single quotes around a value with spaces or signs in it."


def beside(path: Path) -> Path:
    """Where the variables of a file of cameras are."""
    return path.with_suffix(".env")


def read(path: Path, *, faults: list[Fault]) -> dict[str, str]:
    """The variables of an env file; none when there is no file, and none of a faulty line."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        said = f"cannot be read ({type(error).__name__})."
        faults.append(Fault(str(path), "", said, "It must be a UTF-8 text file of the user that citybrain runs as."))
        return {}
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        said = f"holds passwords and can be read by others (mode {stat.S_IMODE(mode):o})."
        faults.append(Fault(str(path), "", said, f"chmod 600 {path}"))
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        value = None if match is None else _value(match["value"].strip())
        if match is None or value is None:
            faults.append(Fault(str(path), f"line {number}", "is no NAME=value.", _REMEDY))
            continue
        found[match["name"]] = value
    return found


def write(variables: Mapping[str, str]) -> str:
    """The text of an env file that `read`, a shell and systemd read alike."""
    return "".join(f"{name}={_quoted(value)}\n" for name, value in variables.items())


def _quoted(value: str) -> str:
    if _BARE.fullmatch(value):
        return value
    if "'" not in value:
        return f"'{value}'"
    escaped = re.sub(r'([\\"$`])', r"\\\1", value)
    return f'"{escaped}"'


def _value(written: str) -> str | None:
    if len(written) >= 2 and written[0] == written[-1] == "'":
        return written[1:-1] if "'" not in written[1:-1] else None
    if len(written) >= 2 and written[0] == written[-1] == '"':
        inside = written[1:-1]
        return None if re.search(r'(?<!\\)(?:\\\\)*"', inside) else re.sub(r'\\([\\"$`])', r"\1", inside)
    return None if written[:1] in ("'", '"') else written
