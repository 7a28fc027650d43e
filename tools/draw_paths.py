"""Draws the preset camera paths, seen from above, from the trajectories themselves: docs/images/path_NAME.svg.

The subject stands one unit before the photo's camera. The wedge is what the photo saw; dots and lines are cameras of the path
and where each looks. Where a path rises and falls, the line is drawn higher on the page: the view is tilted a little.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from splatmem.trajectory.names import PRESET_NAMES
from splatmem.trajectory.presets import make_path

FOLDER = Path(__file__).parents[1] / "docs" / "images"
WIDTH, HEIGHT, MARGIN = 220, 160, 14  # pixels
FRAMES, SHOWN = 96, 12
SUBJECT, FOV = 1.0, 60.0  # units; degrees
TILT = 0.35  # units down the page for each unit of height
ENLARGED = {"turn": 8.0, "spiral": 2.0}  # paths that stay near one spot are drawn larger than the scene around them
LOOK = 0.22  # length of a camera's line, in units
COLOURS = {"seen": "#1f8a7033", "path": "#2f6db5", "camera": "#8c4a9e", "subject": "#c0392b"}


def draw(name: str) -> str:
    """The drawing of one preset, as SVG."""
    made = make_path(name, FRAMES, scale=SUBJECT, subject_distance=SUBJECT, fov_x_degrees=FOV, width=512, height=288)
    to_world = made.cameras.cam_to_world.double().numpy()
    positions = to_world[:, :3, 3] * ENLARGED.get(name, 1.0)
    looks = to_world[:, :3, 2]
    closed = made.closed
    shown = np.arange(SHOWN) * (FRAMES if closed else FRAMES - 1) // (SHOWN if closed else SHOWN - 1)

    flat = _from_above(positions)
    ends = _from_above(positions[shown] + LOOK * looks[shown])
    half = np.radians(FOV / 2)
    wedge = _from_above(np.array([[0, 0, 0], [-np.sin(half), 0, np.cos(half)], [np.sin(half), 0, np.cos(half)]]) * 1.25)
    subject = _from_above(np.array([[0, 0, SUBJECT]]))
    everything = np.concatenate([flat, ends, wedge, subject])
    low, high = everything.min(0), everything.max(0)
    scale = min((WIDTH - 2 * MARGIN) / (high[0] - low[0]), (HEIGHT - 2 * MARGIN) / (high[1] - low[1]))
    middle = (low + high) / 2

    def on_page(points: np.ndarray) -> np.ndarray:
        return (points - middle) * scale + (WIDTH / 2, HEIGHT / 2)

    line = on_page(np.concatenate([flat, flat[:1]]) if closed else flat)
    (x, y) = on_page(subject)[0]
    cameras = zip(on_page(flat[shown]), on_page(ends), strict=True)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
            f"<title>{name}, seen from above</title>",
            f'<polygon points="{_points(on_page(wedge))}" fill="{COLOURS["seen"]}"/>',
            f'<polyline points="{_points(line)}" fill="none" stroke="{COLOURS["path"]}" stroke-width="1.6"/>',
            *(_camera(place, end) for place, end in cameras),
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{COLOURS["subject"]}"/>',
            "</svg>\n",
        ]
    )


def _from_above(points: np.ndarray) -> np.ndarray:
    """Page coordinates of points of the world: x goes right, z up the page, and y a little down."""
    return np.stack([points[:, 0], -points[:, 2] + TILT * points[:, 1]], axis=1)


def _camera(place: np.ndarray, end: np.ndarray) -> str:
    (x, y), (u, v) = place, end
    colour = COLOURS["camera"]
    return (
        f'<path d="M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}" stroke="{colour}" stroke-width="1"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{colour}"/>'
    )


def _points(points: np.ndarray) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the drawings (default: docs/images)")
    options = parser.parse_args()
    for name in PRESET_NAMES:
        (options.out / f"path_{name}.svg").write_text(draw(name), encoding="utf-8")


if __name__ == "__main__":
    main()
