"""A decoded picture as JPEG, no wider than asked for."""

from __future__ import annotations

import cv2
import numpy as np

from citybrain.ports import Picture, Plane


def encode(picture: Picture, *, width: int, quality: int) -> bytes:
    """JPEG bytes of the picture, scaled down to `width` pixels when it is wider; quality 1..100.

    The planes are scaled before they become colours: a quarter of the work for a large picture.
    """
    scale = min(1.0, width / picture.width)
    # I420 wants even sides; a row or column more or less is not seen.
    out_width, out_height = (max(2, round(side * scale) // 2 * 2) for side in (picture.width, picture.height))
    planes = [_fit(picture.y, out_width, out_height)]
    planes += [_fit(plane, out_width // 2, out_height // 2) for plane in (picture.u, picture.v)]
    i420 = np.concatenate([plane.reshape(-1) for plane in planes]).reshape(out_height * 3 // 2, out_width)
    done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:  # pragma: no cover  # a valid array always encodes
        raise ValueError("the picture cannot be encoded as JPEG")
    return jpeg.tobytes()


def _fit(plane: Plane, width: int, height: int) -> Plane:
    if plane.shape == (height, width):
        return np.ascontiguousarray(plane)
    fitted: Plane = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return fitted
