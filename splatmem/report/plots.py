"""The plots of a run's page, as SVG.

They are few and plain, and matplotlib, which evaluations plot with, takes longer to import and to draw them than a film of a
hundred frames takes.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from splatmem.explore.loop import ExploreState
from splatmem.geometry.cameras import Cameras

WINDOW_COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf")
"""matplotlib's ten, which are told apart well."""
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 12, 46  # pixels around the axes
Point = tuple[float, float]


@dataclass
class Axes:
    """A pair of axes somewhere in a drawing, in pixels, and what is drawn in them.

    Attributes:
        place: left, top, width and height of the area within the axes.
        x, y: lowest and highest value along each.
        elements: SVG.
    """

    place: tuple[float, float, float, float]
    x: tuple[float, float]
    y: tuple[float, float]
    elements: list[str] = field(default_factory=list)

    def at(self, x: float, y: float) -> Point:
        """Pixels of a point."""
        left, top, width, height = self.place
        (x0, x1), (y0, y1) = self.x, self.y
        return left + width * (x - x0) / (x1 - x0), top + height * (y1 - y) / (y1 - y0)

    def line(self, points: Sequence[Point], colour: str, width: float = 1.5, fill: str = "none") -> None:
        """A line through points, or an area."""
        path = " ".join(f"{x:.2f},{y:.2f}" for x, y in (self.at(*point) for point in points))
        self.elements.append(f'<polyline points="{path}" fill="{fill}" stroke="{colour}" stroke-width="{width}"/>')

    def dots(self, points: Sequence[Point], colour: str, radius: float = 3.5) -> None:
        for x, y in (self.at(*point) for point in points):
            self.elements.append(f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius}" fill="{colour}"/>')

    def arrow(self, start: Point, step: Point, colour: str, width: float) -> None:
        """An arrow by ``step`` in the axes' units, which are taken to be alike."""
        (x0, y0), (x1, y1) = self.at(*start), self.at(start[0] + step[0], start[1] + step[1])
        length = math.hypot(x1 - x0, y1 - y0)
        if length < 1e-6:
            return
        u, v = (x1 - x0) / length, (y1 - y0) / length
        head = min(3.5 * width, 0.6 * length)
        sides = [(x1 - head * u + s * 0.5 * head * v, y1 - head * v - s * 0.5 * head * u) for s in (1, -1)]
        triangle = " ".join(f"{x:.2f},{y:.2f}" for x, y in ((x1, y1), *sides))
        self.elements.append(
            f'<path d="M{x0:.2f} {y0:.2f}L{x1 - head * u:.2f} {y1 - head * v:.2f}" stroke="{colour}" stroke-width="{width}"/>'
            f'<polygon points="{triangle}" fill="{colour}"/>'
        )

    def bar(self, value: float, row: float, thickness: float, colour: str) -> None:
        """A level bar from 0 to a value, in the middle of a row."""
        (x0, y0), (x1, y1) = self.at(0, row + thickness / 2), self.at(value, row - thickness / 2)
        self.elements.append(
            f'<rect x="{x0:.2f}" y="{y0:.2f}" width="{max(0.0, x1 - x0):.2f}" height="{y1 - y0:.2f}" fill="{colour}"/>'
        )

    def svg(self, x_label: str, y_label: str, x_ticks: Sequence[float], y_ticks: Sequence[tuple[float, str]]) -> str:
        """The axes with their frame, ticks and labels."""
        left, top, width, height = self.place
        parts = [f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#444"/>', *self.elements]
        for value in x_ticks:
            x, _ = self.at(value, self.y[0])
            parts += [
                f'<path d="M{x:.2f} {top + height}v4" stroke="#444"/>',
                _text(x, top + height + 17, f"{value:g}", "middle"),
            ]
        for value, name in y_ticks:
            _, y = self.at(self.x[0], value)
            parts += [f'<path d="M{left} {y:.2f}h-4" stroke="#444"/>', _text(left - 7, y + 4, name, "end")]
        parts.append(_text(left + width / 2, top + height + 36, x_label, "middle"))
        if y_label:
            x, y = left - 46, top + height / 2
            parts.append(f'<g transform="rotate(-90 {x:.2f} {y:.2f})">{_text(x, y, y_label, "middle")}</g>')
        return "".join(parts)


def path_plot(path: Cameras, state: ExploreState, unit: str) -> str:
    """Positions and viewing directions on the ground plane, in ``unit``; the frames that were made are marked by window."""
    centers, forward = path.centers[:, [0, 2]].numpy(), path.forward[:, [0, 2]].numpy()
    low, high = centers.min(0), centers.max(0)
    reach = float((high - low).max()) or 1.0
    half = 0.85 * reach  # arrows are up to a fifth as long as the path is wide
    (x, z), width, height = _point((low + high) / 2), 600, 500
    area = (LEFT, TOP, width - LEFT - RIGHT, height - TOP - BOTTOM)
    aspect = area[2] / area[3]
    axes = Axes(area, (x - aspect * half, x + aspect * half), (z - half, z + half))
    axes.line(_points(centers), "#888", 1)
    for frame in range(0, len(path), max(1, len(path) // 48)):
        axes.arrow(_point(centers[frame]), _point(forward[frame] * reach / 8), "#bbb", 1.5)
    for number, moments in enumerate(state.windows):
        for frame in map(round, moments):
            axes.arrow(_point(centers[frame]), _point(forward[frame] * reach / 5), WINDOW_COLOURS[number % 10], 3)
    axes.dots([_point(centers[0])], "black")
    z_ticks = [(value, f"{value:g}") for value in ticks(*axes.y)]
    return _uri(width, height, axes.svg(f"to the right [{unit}]", f"ahead [{unit}]", ticks(*axes.x), z_ticks))


def unknown_plot(unknown: Sequence[float], fps: float) -> str:
    """The unknown share of each frame over the film's seconds."""
    width, height, percent = 1000, 220, [100 * share for share in unknown]
    end = max(len(unknown) - 1, 1) / fps
    axes = Axes((LEFT, TOP, width - LEFT - RIGHT, height - TOP - BOTTOM), (0, end), (0, max(1.0, 1.1 * max(percent))))
    points = [(frame / fps, value) for frame, value in enumerate(percent)]
    axes.line([(0, 0), *points, (points[-1][0], 0)], "#d65f8f", 1, fill="#d65f8f")
    y_ticks = [(value, f"{value:g}") for value in ticks(*axes.y, most=4)]
    return _uri(width, height, axes.svg("seconds of the film", "unknown [%]", ticks(*axes.x), y_ticks))


def cost_plot(seconds: dict[str, float], coverage: Sequence[float]) -> str:
    """What of the path was known before each window, and the seconds of each stage."""
    width, height = 1000, 320
    inner, side = height - TOP - BOTTOM, width / 2 - LEFT - RIGHT
    left = Axes((LEFT, TOP, side, inner), (-0.2, max(len(coverage) - 1, 1) + 0.2), (0, 101))
    known = [(float(index), 100 * (1 - share)) for index, share in enumerate(coverage)]
    left.line(known, WINDOW_COLOURS[0])
    left.dots(known, WINDOW_COLOURS[0])
    whole = [value for value in ticks(*left.x) if value == round(value)]
    percent = [(float(value), str(value)) for value in range(0, 101, 20)]
    stages = [name for name in seconds if name != "total"]
    longest = max([seconds[name] for name in stages], default=1.0) or 1.0
    right = Axes((width / 2 + LEFT, TOP, side, inner), (0, 1.05 * longest), (len(stages) - 0.4, -0.6))
    for row, name in enumerate(stages):
        right.bar(seconds[name], row, -0.8, WINDOW_COLOURS[0])
    drawn = left.svg("windows made", "known share of the path [%]", whole, percent)
    return _uri(width, height, drawn + right.svg("seconds", "", ticks(*right.x), [(row, n) for row, n in enumerate(stages)]))


def ticks(low: float, high: float, most: int = 8) -> list[float]:
    """Round values between two: multiples of 1, 2 or 5 times a power of ten, ``most`` at most."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(factor * step for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) + 0.0 for index in range(first, last + 1)]


def _point(pair: np.ndarray) -> Point:
    return float(pair[0]), float(pair[1])


def _points(pairs: np.ndarray) -> list[Point]:
    return [_point(pair) for pair in pairs]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}" fill="#222">{escape(text)}</text>'


def _uri(width: int, height: int, drawn: str) -> str:
    """The drawing as a data URI, to be embedded in a page."""
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>{drawn}</svg>'
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
