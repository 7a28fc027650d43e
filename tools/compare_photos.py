"""Turns of many photos side by side: what the preset makes of the unseen, beside classical fillers in the same loop.

    python tools/compare_photos.py PHOTOS... --out out/photos

writes one sheet per photo, a row for each method, and the films' folders. Photos that are done are not made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from splatmem.evaluation.sheet import comparison_sheet
from splatmem.io.video import read_video
from splatmem.jobs.flyaround import flyaround


@dataclass
class Options:
    """What to compare."""

    photos: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """The pictures that turns begin with."""
    out: Path = Path("out/photos")
    """Folder for the sheets and the films."""
    methods: tuple[str, ...] = ("embedded", "telea", "patchmatch")
    """Values of inpainter.model."""
    frames: int = 48
    """Of each film."""
    size: tuple[int, int] = (384, 216)
    """Width and height of the films."""
    views: int = 6
    """Frames of each film on its sheet, evenly spread over the turn."""


def main(options: Options) -> None:
    for photo in options.photos:
        rows: dict[str, torch.Tensor] = {}
        for method in options.methods:
            out = options.out / photo.stem / method
            if not (out / "video.mp4").is_file():
                overrides = (f"inpainter.model={method}",)
                flyaround(photo=photo, out=out, frames=options.frames, size=options.size, overrides=overrides)
            film = read_video(out / "video.mp4")
            chosen = [i * len(film) // options.views for i in range(options.views)]
            rows[method] = torch.from_numpy(film[chosen]).float() / 255
        sheet = options.out / f"{photo.stem}.png"
        comparison_sheet(rows).save(sheet)
        print(sheet, flush=True)


if __name__ == "__main__":
    main(tyro.cli(Options))
