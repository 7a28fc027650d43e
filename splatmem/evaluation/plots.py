"""Figures of an evaluation's page, by matplotlib."""

from __future__ import annotations

import base64
import io

import numpy as np


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
