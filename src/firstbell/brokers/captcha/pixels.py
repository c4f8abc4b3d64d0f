"""A picture as a terminal can show it."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, UnidentifiedImageError
from rich_pixels import Pixels

_MOST_PIXELS: Final = 1_000_000
_NOT_A_PICTURE: Final = (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError)
"""What Pillow raises for a picture that is none; the file's path is said all the same."""


def pixels_of(picture: bytes, width: int) -> Pixels | None:
    """A picture for a terminal of a width in characters; None where it is none, or none that can be shown."""
    try:
        with Image.open(io.BytesIO(picture), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > _MOST_PIXELS:
                return None
            columns = max(1, min(image.width, width - 1))
            rows = max(2, round(image.height * columns / image.width))
            pixels: Pixels = Pixels.from_image(image.convert("RGB"), resize=(columns, rows))
            return pixels
    except _NOT_A_PICTURE:
        return None
