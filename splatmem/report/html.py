"""A self-contained HTML page about a run."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from splatmem.explore.loop import ExploreState
from splatmem.geometry.cameras import Cameras
from splatmem.report.pages import page


def report_page(report: dict[str, Any], sheet: Image.Image, path: Cameras, state: ExploreState, coverage: list[float]) -> str:
    """The page as text; pictures are embedded, nothing is fetched.

    Args:
        report: what ``report.json`` holds.
        coverage: unknown share of the path before each window, 0..1.
    """
    return page(
        "run",
        report={"notes": [], **report},
        sheet=picture_uri(sheet),
        path_plot=_path_plot(path, state),
        cost_plot=_cost_plot(report["seconds"], coverage),
        figures=list(_leaves(report)),
    )


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names, with those of the levels above in front, and values as the table shows them."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, f"{value:.4g}" if isinstance(value, float) else str(value)


def picture_uri(image: Image.Image, form: str = "JPEG") -> str:
    """The picture as a data URI, to be embedded in a page."""
    buffer = io.BytesIO()
    image.save(buffer, form, quality=90)
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def new_figure(width: float, height: float, columns: int = 1, rows: int = 1):
    """A matplotlib figure of this size in inches, and its axes in rows and columns, flat; no global state is touched."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(rows, columns)).ravel()


def svg_uri(figure) -> str:
    """The figure as a data URI."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _path_plot(path: Cameras, state: ExploreState) -> str:
    """Positions and viewing directions on the ground plane; the frames that were made are marked by window."""
    figure, (axes,) = new_figure(6, 5)
    centers, forward = path.centers.numpy(), path.forward.numpy()
    reach = max(float(np.ptp(centers[:, [0, 2]], axis=0).max()), 1e-3)
    axes.plot(centers[:, 0], centers[:, 2], "-", color="#888", linewidth=1)
    every = slice(None, None, max(1, len(path) // 48))
    axes.quiver(
        centers[every, 0], centers[every, 2], forward[every, 0], forward[every, 2],
        color="#bbb", width=0.003, scale=8 / reach, scale_units="xy", angles="xy",
    )  # fmt: skip
    for number, positions in enumerate(state.windows):
        window = [round(position) for position in positions]
        axes.quiver(
            centers[window, 0], centers[window, 2], forward[window, 0], forward[window, 2],
            color=f"C{number % 10}", width=0.006, scale=5 / reach, scale_units="xy", angles="xy",
        )  # fmt: skip
    axes.plot(*centers[0, [0, 2]], "o", color="black")
    axes.set(xlabel="x (right)", ylabel="z (ahead)", aspect="equal")
    axes.margins(0.35)
    return svg_uri(figure)


def _cost_plot(seconds: dict[str, float], coverage: list[float]) -> str:
    figure, (left, right) = new_figure(10, 3.2, 2)
    left.plot(range(len(coverage)), [100 * (1 - c) for c in coverage], "o-")
    left.set(xlabel="windows made", ylabel="known share of the path [%]", ylim=(0, 101))
    left.xaxis.get_major_locator().set_params(integer=True)
    stages = [name for name in seconds if name != "total"]
    right.barh(stages[::-1], [seconds[name] for name in stages[::-1]])
    right.set(xlabel="seconds")
    return svg_uri(figure)
