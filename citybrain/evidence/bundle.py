"""A case's evidence in one file that anybody can check without us: pictures, clips, timeline, seals, and one signature over all.

README.txt                     what this is, and how it is checked (中文, English)
case.json, timeline.json       the case, and every event of it as it was told
evidence/<ref>                 pictures and clips: originals, or copies with faces and plates masked
seals/001.json, 001.sig        what was known of each when the case claimed it, signed then
public-key.pem                 what the signatures are checked with; compare it with the one that you were given
manifest.json, manifest.sig    every file's SHA-256, signed when the bundle was made
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from citybrain.clock import iso
from citybrain.evidence.seals import SOFTWARE, Seal, canonical
from citybrain.evidence.signer import Signer

README, CASE, TIMELINE, KEY = "README.txt", "case.json", "timeline.json", "public-key.pem"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
EVIDENCE, SEALS = "evidence/", "seals/"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same case makes the same bytes: a ZIP's own times say nothing that is signed


class Given(StrEnum):
    """What of a picture or clip is in the bundle: itself, a masked copy of it, or nothing, because it is no longer kept (or was
    altered since), or because it cannot be masked."""

    ORIGINAL = "original"
    MASKED = "masked"
    GONE = "gone"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Piece:
    """One picture or clip of the case."""

    ref: str
    given: Given
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a bundle is made of. `events` are CloudEvents as they were told, oldest first; `by` is who asked for it."""

    case: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]
    pieces: Sequence[Piece]
    seals: Sequence[Seal]
    by: str
    at: datetime


def pack(contents: Contents, signer: Signer) -> bytes:
    """The bundle as a ZIP file."""
    files = {
        README: _readme(contents, signer).encode(),
        CASE: _shown(contents.case),
        TIMELINE: _shown(list(contents.events)),
        KEY: signer.public.pem,
    }
    for piece in contents.pieces:
        if piece.content is not None:
            files[EVIDENCE + piece.ref] = piece.content
    for n, seal in enumerate(contents.seals, start=1):
        files[f"{SEALS}{n:03}.json"], files[f"{SEALS}{n:03}.sig"] = seal.document, seal.signature
    manifest = canonical(
        {
            "v": 1,
            "case": contents.case["id"],
            "made_at": iso(contents.at),
            "made_by": contents.by,
            "software": SOFTWARE,
            "key": signer.public.fingerprint,
            "files": [
                {"path": path, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
                for path, content in sorted(files.items())
            ],
            "evidence": [{"ref": each.ref, "given": each.given.value} for each in contents.pieces],
            "seals": len(contents.seals),
        }
    )
    files[MANIFEST], files[SIGNATURE] = manifest, signer.sign(manifest)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as bundle:  # stored: pictures and clips are packed already
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, content)
    return written.getvalue()


def _shown(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _readme(contents: Contents, signer: Signer) -> str:
    case, masked = contents.case, any(each.given is Given.MASKED for each in contents.pieces)
    zh = "图片中的人脸和车牌已遮挡；视频为低分辨率预览。原件的哈希在封存记录中。" if masked else "图片和视频为原件。"
    en = (
        "Faces and plates in the pictures are masked, and clips are coarse previews; the seals hold the originals' hashes."
        if masked
        else "Pictures and clips are originals."
    )
    return f"""案件证据包 {case["id"]}
{case["title"]["zh"]}
制作：{iso(contents.at)}，{contents.by}，{SOFTWARE}
{zh}

验证（无需服务器和网络）：
    citybrain verify-evidence 本文件.zip --key 事先取得的公钥.pem
或仅用 OpenSSL（先解压）：
    openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin -in manifest.json -sigfile manifest.sig
    manifest.json 中列有每个文件的 SHA-256，可用 sha256sum 比对；seals/ 中每条封存记录以同样方式验证。
公钥指纹须与事先由其他途径取得的一致：
    {signer.public.fingerprint}

Evidence of case {case["id"]}
{case["title"]["en"]}
Made {iso(contents.at)} by {contents.by}, {SOFTWARE}
{en}

To check it, without any server or network:
    citybrain verify-evidence THIS.zip --key PUBLIC-KEY-YOU-WERE-GIVEN.pem
or with OpenSSL alone, unpacked:
    openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin -in manifest.json -sigfile manifest.sig
    manifest.json lists the SHA-256 of every file, to compare with sha256sum; each seal in seals/ is checked in the same way.
The key's fingerprint must be the one that you were given by another way:
    {signer.public.fingerprint}
"""
