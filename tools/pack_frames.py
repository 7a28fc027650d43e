"""Packs rendered frames into one small file for training on another machine: JPEG pictures and 8-bit log depth.

    python tools/pack_frames.py --frames out/frames out/clips --out frames.zip
    python tools/train_depth.py --pack frames.zip --device cuda --minutes 8 --batch 48 --frozen-blocks 0 --bfloat16

Frames are drawn evenly from all files, in a random order, until the file would grow beyond --megabytes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from depth_frames import FrameFolders, pack

TRIAL_FRAMES = 50
MARGIN = 0.97
"""Of the size that is allowed: frames differ in how well they compress."""


@dataclass
class Options:
    """What to pack."""

    frames: tuple[Path, ...] = (Path("out/frames"),)
    """Folders of .npz files by tools/render_frames.py and tools/render_rooms.py."""
    out: Path = Path("frames.zip")
    megabytes: float = 60.0
    """Largest size of the file, in millions of bytes."""
    quality: int = 80
    """Of the JPEG pictures."""
    views: int = 16
    """Most frames taken from each file."""
    seed: int = 0


def main(options: Options) -> None:
    read = FrameFolders(options.frames, options.views).new()
    frames = [(part.kind, part.rgb[i], part.depth_mm[i]) for part in read for i in range(len(part.rgb))]
    if not frames:
        raise ValueError(f"{', '.join(map(str, options.frames))}: no frames; render some with tools/render_frames.py")
    frames = [frames[i] for i in np.random.default_rng(options.seed).permutation(len(frames))]
    limit, count = options.megabytes * 1e6, min(TRIAL_FRAMES, len(frames))
    size = pack(frames[:count], options.out, options.quality)
    if count < len(frames) and size < limit:
        count = min(len(frames), int(MARGIN * limit / (size / count)))
        size = pack(frames[:count], options.out, options.quality)
    while size > limit:
        count = int(0.9 * count)
        size = pack(frames[:count], options.out, options.quality)
    print(f"{count} of {len(frames)} frames, {size / 1e6:.1f} MB in {options.out}")


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"pack_frames: {error}")
