"""Still pictures as the planes that detectors are fed, just as a decoder gives them for a frame."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from citybrain.errors import Unreadable
from citybrain.ports import Picture

Bgr = npt.NDArray[np.uint8]
"""Height × width × 3, blue green red, as OpenCV has it."""


def decoded(content: bytes) -> Bgr:
    """A JPEG or PNG as it is shown. Raises Unreadable for what is no picture."""
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if found is None or min(found.shape[:2]) < 2:
        raise Unreadable("expected a picture that can be decoded, got something else")
    return np.ascontiguousarray(found, dtype=np.uint8)


def planes(bgr: Bgr) -> Picture:
    """The picture in BT.601, video range, 4:2:0; chroma of odd sides rounded up."""
    height, width = bgr.shape[:2]
    even = cv2.copyMakeBorder(bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    rows, columns = even.shape[:2]
    planar = np.asarray(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), np.uint8)
    chroma = planar[rows:].reshape(2, rows // 2, columns // 2)
    return Picture(planar[:height, :width], chroma[0], chroma[1])
