"""Films of many photos, with the models loaded once.

python examples/many_photos.py photos/*.jpg --out out/films
"""

from __future__ import annotations

from pathlib import Path

import splatmem as sm
import tyro


def main(
    photos: tyro.conf.Positional[tuple[Path, ...]], out: Path, frames: int = 96, size: tuple[int, int] = (512, 288)
) -> None:
    inpainter, depth = sm.load_inpainter("embedded"), sm.load_depth_estimator("embedded")
    for photo in photos:
        try:
            report = sm.flyaround(
                photo=photo, out=out / photo.stem, frames=frames, size=size, inpainter=inpainter, depth=depth, overwrite=True
            )
            print(f"{photo}: {report['seconds']['total']:.0f} s")
        except (ValueError, OSError) as error:  # one bad photo ends nothing
            print(f"{photo}: {error}")


if __name__ == "__main__":
    tyro.cli(main)
