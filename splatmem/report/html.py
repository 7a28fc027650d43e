"""A self-contained HTML page about a run."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from splatmem.explore.loop import ExploreState
from splatmem.geometry.cameras import Cameras
from splatmem.report.meanings import figure_meaning
from splatmem.report.notes import meaning
from splatmem.report.pages import page
from splatmem.report.plots import cost_plot, path_plot, unknown_plot
from splatmem.report.units import file_size, readable

LARGEST_EMBEDDED = 30 * 10**6  # bytes of a film that becomes part of the page
LONGEST_LIST = 8
POINT_BYTES = 15  # three float32 and three bytes of colour
WORDS = {"m": "metres, as far as the depth model can tell", "units": "units of the scene"}


def report_page(
    report: dict[str, Any],
    sheet: Image.Image,
    path: Cameras,
    state: ExploreState,
    coverage: list[float],
    *,
    video: Path | None = None,
    poster: Image.Image | None = None,
    fps: float = 24.0,
    folder: Path | None = None,
    moving: Image.Image | None = None,
) -> str:
    """The page as text; pictures and the film are embedded, nothing is fetched but a large film from the page's own folder.

    Args:
        report: what ``report.json`` holds.
        coverage: unknown share of the path before each window, 0..1.
        video: the film.
        poster: its first frame, which the page shows until the film is played.
        fps: its frames per second.
        folder: where the results will lie, for the commands that the page names.
        moving: given pictures with what was left out of them since it moved.
    """
    unknown = report.get("unknown_by_frame") or []
    return page(
        "run",
        report={"notes": [], **report},
        notes=[(note, meaning(note)) for note in report.get("notes", [])],
        video=None if video is None else _video_address(video),
        poster=None if poster is None else picture_uri(poster),
        aspect=f"{path.width} / {path.height}",
        summary=_summary(report),
        sheet=picture_uri(sheet),
        moving=None if moving is None else picture_uri(moving),
        path_plot=path_plot(path, state, (report.get("scene") or {}).get("unit", "units")),
        unknown_plot=unknown_plot(unknown, fps) if unknown else None,
        cost_plot=cost_plot(report["seconds"], coverage),
        figures=[(name, value, figure_meaning(name)) for name, value in _leaves(report)],
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
    if "memory_bytes" in report:
        rows.append(("The scene in main memory", _memory(report)))
    if "peak_rss_bytes" in report:
        rows.append(("Main memory of the whole run, at most", readable("peak_rss_bytes", report["peak_rss_bytes"])))
    rows.append(("Time", readable("seconds.total", report["seconds"]["total"])))
    return rows


def _memory(report: dict[str, Any]) -> str:
    """The scene's bytes, beside what a memory of points would need that keeps each pixel of each frame."""
    width, height = report["size"]
    points = report["frames"] * width * height * POINT_BYTES
    told = readable("memory_bytes", report["memory_bytes"])
    return f"{told}; every pixel of every frame as a coloured point would be {file_size(points)}"


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
