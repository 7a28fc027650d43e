"""An inpainter of one's own, in the product's loop.

python examples/own_inpainter.py assets/photos/interior_table.jpg --out out/own
"""

from __future__ import annotations

import cv2
import numpy as np
import splatmem as sm
import torch
import tyro


def telea(partial: sm.PartialFrames, **_: object) -> sm.FilledFrames:
    """Fills each frame from its rim inward (Telea 2004). Depth is left to the depth estimator."""
    frames = []
    for rgb, known in zip(partial.rgb, partial.known, strict=True):
        picture = (rgb.clamp(0, 1) * 255).byte().numpy()
        frames.append(cv2.inpaint(picture, (~known).numpy().astype(np.uint8), 5, cv2.INPAINT_TELEA))
    return sm.FilledFrames(rgb=torch.from_numpy(np.stack(frames)).float() / 255)


def main(photo: tyro.conf.Positional[str], out: str, frames: int = 96, size: tuple[int, int] = (512, 288)) -> None:
    report = sm.flyaround(photo=photo, out=out, path="turn", frames=frames, size=size, inpainter=telea)
    print(f"{report['generated_frames']} frames filled by {report['inpainter']}: {out}/video.mp4")


if __name__ == "__main__":
    tyro.cli(main)
