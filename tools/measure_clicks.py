"""How much of a clicked thing is found, on rooms whose truth is known (tools/render_clicks.py): intersection over union.

Depth and classes are the embedded model's, as for a photo.

    python tools/measure_clicks.py out/clicks/*.npz --sheet out/clicks.png
    python tools/measure_clicks.py out/clicks/*.npz --without-classes      # as in views that are no photo's own
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from splatmem.depth import load_depth_estimator
from splatmem.edit.thing import thing_in_view
from splatmem.memory import MemoryReading
from splatmem.pixels import to_uint8

from click_views import Click, ClickView, clicks_on, read_view

SMALL, LARGE = 0.01, 0.05  # shares of the picture
COLUMNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("views", nargs="+", type=Path)
    parser.add_argument("--without-classes", action="store_true")
    parser.add_argument("--sheet", type=Path, help="every fifth click from the worst to the best: found (orange), true (green)")
    arguments = parser.parse_args()
    estimator = load_depth_estimator("embedded")
    overlaps, shares, cells, seconds = [], [], [], 0.0
    for index, file in enumerate(arguments.views):
        view = read_view(file, estimator)
        one = torch.ones_like(view.depth)[None]
        reading = MemoryReading(view.rgb[None], view.depth[None], one, one > 0, one)
        classes = None if arguments.without_classes else view.classes
        for click in clicks_on(view, np.random.default_rng(index)):
            start = time.process_time()
            pixel = (click.column + 0.5, click.row + 0.5)
            found = thing_in_view(reading, view.camera, pixel, view.down, classes).numpy()
            seconds += time.process_time() - start
            overlaps.append((found & click.thing).sum() / (found | click.thing).sum())
            shares.append(click.thing.mean())
            cells.append(marked(view, click, found))
    overlap, share = np.array(overlaps), np.array(shares)
    print(f"{len(overlap)} clicks: mean IoU {overlap.mean():.3f}, at least .5: {(overlap >= 0.5).mean():.3f}, ", end="")
    print(f"at least .75: {(overlap >= 0.75).mean():.3f}; {seconds / len(overlap):.2f} CPU seconds a click")
    sizes = {"small": share < SMALL, "medium": (share >= SMALL) & (share < LARGE), "large": share >= LARGE}
    print(", ".join(f"{name} things ({of.sum()}): {overlap[of].mean():.3f}" for name, of in sizes.items()))
    if arguments.sheet is not None:
        worst_first = [cells[i] for i in np.argsort(overlap)[::5]]
        worst_first += [np.zeros_like(cells[0])] * (-len(worst_first) % COLUMNS)
        rows = [np.concatenate(worst_first[i : i + COLUMNS], axis=1) for i in range(0, len(worst_first), COLUMNS)]
        Image.fromarray(np.concatenate(rows)).save(arguments.sheet)


def marked(view: ClickView, click: Click, found: np.ndarray) -> np.ndarray:
    """The picture with what was found, the true outline, and the click."""
    picture = to_uint8(view.rgb).copy()
    picture[found] = (0.4 * picture[found] + 0.6 * np.array([255, 60, 0])).astype(np.uint8)
    picture[click.thing ^ ndimage.binary_erosion(click.thing)] = (0, 255, 0)
    picture[max(0, click.row - 2) : click.row + 3, max(0, click.column - 2) : click.column + 3] = (0, 0, 255)
    return picture


if __name__ == "__main__":
    main()
