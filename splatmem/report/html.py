"""A self-contained HTML page about a run."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from splatmem.explore.loop import ExploreState
from splatmem.geometry.cameras import Cameras
from splatmem.report.notes import meaning
from splatmem.report.pages import page
from splatmem.report.units import readable

LARGEST_EMBEDDED = 30 * 10**6  # bytes of a film that becomes part of the page
LONGEST_LIST = 8
WORDS = {"m": "metres, as far as the depth model can tell", "units": "units of the scene"}


def report_page(
    report: dict[str, Any],
    sheet: Image.Image,
    path: Cameras,
    state: ExploreState,
    coverage: list[float],
    *,
    video: Path | None = None,
    fps: float = 24.0,
    folder: Path | None = None,
) -> str:
    """The page as text; pictures and the film are embedded, nothing is fetched but a large film from the page's own folder.

    Args:
        report: what ``report.json`` holds.
        coverage: unknown share of the path before each window, 0..1.
        video: the film.
        fps: its frames per second.
        folder: where the results will lie, for the commands that the page names.
    """
    unknown = report.get("unknown_by_frame") or []
    return page(
        "run",
        report={"notes": [], **report},
        notes=[(note, meaning(note)) for note in report.get("notes", [])],
        video=None if video is None else _video_address(video),
        summary=_summary(report),
        sheet=picture_uri(sheet),
        path_plot=_path_plot(path, state),
        unknown_plot=_unknown_plot(unknown, fps) if unknown else None,
        cost_plot=_cost_plot(report["seconds"], coverage),
        figures=list(_leaves(report)),
        folder="DIR" if folder is None else str(folder),
    )


def _video_address(video: Path) -> str:
    """The film itself as a data URI; of a large one its name."""
    if video.stat().st_size > LARGEST_EMBEDDED:
        return video.name
    return f"data:video/mp4;base64,{base64.b64encode(video.read_bytes()).decode()}"


def _summary(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures that a reader looks for first, in words."""
    told = [("Photo, seen again at the end", "photo_psnr"), ("Film that is unknown", "unknown_fraction")]
    rows = [(words, readable(name, report[name])) for words, name in told if report.get(name) is not None]
    scene = report.get("scene")
    if scene is not None:
        width, height, depth = (f"{side:.3g}" for side in scene["size"])
        rows.append(("Distance of what is in the middle", f"{scene['subject_distance']:.3g} {scene['unit']}"))
        rows.append(("Size of the scene", f"{width} wide, {height} high, {depth} deep, in {WORDS[scene['unit']]}"))
    if "gaussians" in report:
        rows.append(("Gaussians", readable("gaussians", report["gaussians"])))
    if "peak_rss_bytes" in report:
        rows.append(("Memory used at most", readable("peak_rss_bytes", report["peak_rss_bytes"])))
    rows.append(("Time", readable("seconds.total", report["seconds"]["total"])))
    return rows


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names, with those of the levels above in front, and values as the table shows them; long lists are left to the plots."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        elif not (isinstance(value, list) and len(value) > LONGEST_LIST):
            yield prefix + key, readable(prefix + key, value)


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


def _unknown_plot(unknown: list[float], fps: float) -> str:
    """The unknown share of each frame over the film's seconds."""
    figure, (axes,) = new_figure(10, 2.2)
    axes.fill_between([frame / fps for frame in range(len(unknown))], [100 * share for share in unknown], color="#d65f8f")
    axes.set(xlabel="seconds of the film", ylabel="unknown [%]", ylim=(0, max(1.0, 110 * max(unknown))))
    axes.margins(x=0)
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
