"""Films side by side."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from splatmem.pixels import to_uint8

TILE_WIDTH = 224
LABEL_WIDTH = 120
GAP = 2


def comparison_sheet(rows: dict[str, Float[Tensor, "f h w 3"]]) -> Image.Image:
    """One row of frames for each film, its name before it."""
    frames, height, width = next(iter(rows.values())).shape[:3]
    tile = (TILE_WIDTH, max(1, round(TILE_WIDTH * height / width)))
    enlarging = Image.Resampling.BICUBIC if width < TILE_WIDTH else Image.Resampling.LANCZOS
    size = (LABEL_WIDTH + frames * (tile[0] + GAP), len(rows) * (tile[1] + GAP))
    sheet = Image.fromarray(np.full((size[1], size[0], 3), 255, np.uint8))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for row, (name, pictures) in enumerate(rows.items()):
        top = row * (tile[1] + GAP)
        draw.multiline_text((4, top + tile[1] // 2), name.replace("_", " "), fill=(40, 40, 40), font=font, anchor="lm")
        for column, picture in enumerate(to_uint8(pictures)):
            place = (LABEL_WIDTH + column * (tile[0] + GAP), top)
            sheet.paste(Image.fromarray(picture).resize(tile, enlarging), place)
    return sheet
