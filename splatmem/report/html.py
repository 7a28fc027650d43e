"""A self-contained HTML page about a run."""

from __future__ import annotations

import base64
import html
import io
from typing import Any

import numpy as np
from PIL import Image

from splatmem.explore.loop import ExploreState
from splatmem.geometry.cameras import Cameras

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-weight: 600; } h2 { font-weight: 600; margin-top: 2em; } img { max-width: 100%; }
table { border-collapse: collapse; } td { padding: .15em 1.2em .15em 0; vertical-align: top; }
td:first-child { color: #666; } .note { background: #fff6d8; padding: .6em 1em; border-radius: 6px; }
"""


def report_page(report: dict[str, Any], sheet: Image.Image, path: Cameras, state: ExploreState, coverage: list[float]) -> str:
    """The page as text; pictures are embedded, nothing is fetched.

    Args:
        report: what ``report.json`` holds.
        coverage: unknown share of the path before each window, 0..1.
    """
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in report.get("notes", []))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>splatmem: {html.escape(str(report["source"]))}</title>
<style>{STYLE}</style></head><body>
<h1>{html.escape(str(report["source"]))}</h1>
{notes}
<h2>Film</h2>
<p>Of each frame: the film; what was known before anything was made (pink: nothing); depth.</p>
<img alt="contact sheet" src="{picture_uri(sheet)}">
<h2>Path from above</h2>
<p>The dot is the photo's camera. Grey arrows are the film's cameras; coloured ones are the frames that were generated, one
colour for each window.</p>
<img alt="camera path" src="{_path_plot(path, state)}">
<h2>Coverage and time</h2>
<img alt="coverage and time" src="{_cost_plot(report["seconds"], coverage)}">
<h2>Figures</h2>
<table>{_rows(report)}</table>
</body></html>
"""


def _rows(values: dict[str, Any], prefix: str = "") -> str:
    rows = ""
    for key, value in values.items():
        if isinstance(value, dict):
            rows += _rows(value, f"{prefix}{key}.")
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            rows += f"<tr><td>{html.escape(prefix + key)}</td><td>{html.escape(shown)}</td></tr>"
    return rows


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
        color="#bbb", width=0.003, scale=8 / reach, scale_units="x", angles="xy",
    )  # fmt: skip
    for number, positions in enumerate(state.windows):
        window = [round(position) for position in positions]
        axes.quiver(
            centers[window, 0], centers[window, 2], forward[window, 0], forward[window, 2],
            color=f"C{number % 10}", width=0.006, scale=5 / reach, scale_units="x", angles="xy",
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
