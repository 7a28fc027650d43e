"""The evaluation as a self-contained HTML page."""

from __future__ import annotations

from typing import Any

from PIL import Image

from splatmem.evaluation.figures import FIGURES, Figure
from splatmem.evaluation.plots import new_figure, svg_uri
from splatmem.evaluation.table import TITLES, best, verdict
from splatmem.report.html import picture_uri
from splatmem.report.pages import page

PLOTTED = (
    "kept_psnr",
    "kept_psnr_true_depth",
    "made_feature_distance",
    "made_distribution_distance",
    "made_depth_delta1",
    "loop_psnr",
    "unknown_fraction",
    "seconds",
)


def report_page(report: dict[str, Any], sheets: dict[str, Image.Image]) -> str:
    """The page as text; pictures are embedded, nothing is fetched.

    Args:
        report: what evaluate.json holds.
        sheets: a picture for each scene.
    """
    reference = report["reference"]
    return page(
        "evaluation",
        report=report,
        reference=reference,
        all_scenes=_tables(report, reference),
        plot=_plot(report),
        groups={name: _tables(group, reference) for name, group in report["groups"].items()},
        scenes=[
            {
                "name": name,
                "facts": _facts(report["scenes"][name]),
                "sheet": picture_uri(sheet),
                "tables": _tables({"methods": report["scenes"][name]["methods"], "differences": {}}, reference),
            }
            for name, sheet in sheets.items()
        ],
        figures=FIGURES,
    )


def _facts(scene: dict[str, Any]) -> str:
    film, compared = ("×".join(map(str, scene[key])) for key in ("size", "compared_size"))
    at = "" if film == compared else f", compared at {compared}"
    kept, made = 100 * scene["kept_share"], 100 * scene["made_share"]
    return f"{scene['frames']} frames of {film}{at}; {kept:.0f} % of them kept, {made:.0f} % made (pink in the second row)"


def _tables(summary: dict[str, Any], reference: str) -> list[dict[str, Any]]:
    """One table for each group of figures that has any, as the template shows it."""
    tables = (_table(summary, reference, group, title) for group, title in TITLES.items())
    return [table for table in tables if table["columns"]]


def _table(summary: dict[str, Any], reference: str, group: str, title: str) -> dict[str, Any]:
    methods = summary["methods"]
    columns = [f for f in FIGURES if f.group == group and any(row[f.name] is not None for row in methods.values())]
    tops = {f.name: best(f, methods) for f in columns}
    rows = [
        {
            "method": name,
            "is_reference": name == reference,
            "cells": [
                _cell(f, row[f.name], name in tops[f.name], summary["differences"].get(name, {}).get(f.name)) for f in columns
            ],
        }
        for name, row in methods.items()
    ]
    heads = [{"label": f.label + _arrow(f), "meaning": f.meaning} for f in columns]
    return {"title": title, "columns": heads, "rows": rows}


def _arrow(figure: Figure) -> str:
    return {"higher": " ↑", "lower": " ↓", None: ""}[figure.better]


def _cell(figure: Figure, value: float | None, is_best: bool, difference: dict[str, Any] | None) -> dict[str, Any]:
    if value is None:
        return {"text": "–", "is_best": False, "kind": "", "difference": ""}
    shown = kind = ""
    if difference is not None:
        kind = {"+": "surely-better", "-": "surely-worse", "": ""}[verdict(figure, difference)]
        form = "+" + figure.form
        ends = "" if difference["low"] is None else f" [{difference['low']:{form}}, {difference['high']:{form}}]"
        shown = f"{difference['mean']:{form}}{ends}"
    return {"text": format(value, figure.form), "is_best": is_best, "kind": kind, "difference": shown}


def _plot(report: dict[str, Any]) -> str:
    """Means with intervals, and every scene as a dot."""
    methods = list(report["methods"])
    figure, axes = new_figure(15, 2.2 + 0.7 * len(methods), columns=4, rows=2)
    by_name = {f.name: f for f in FIGURES}
    for axis, name in zip(axes, PLOTTED, strict=True):
        for place, method in enumerate(methods):
            values = [scene["methods"][method][name] for scene in report["scenes"].values()]
            present = [value for value in values if value is not None]
            axis.plot(present, [place] * len(present), ".", color="#aaa", markersize=5, zorder=1)
            interval = report["intervals"][method].get(name)
            if interval is None:
                continue
            colour = "C3" if method == report["reference"] else "C0"
            if interval["low"] is not None:
                axis.plot([interval["low"], interval["high"]], [place, place], "-", color=colour, linewidth=2, zorder=2)
            axis.plot([interval["mean"]], [place], "o", color=colour, zorder=3)
        axis.set_yticks(range(len(methods)), [method.replace("_", " ") for method in methods])
        axis.set_ylim(len(methods) - 0.5, -0.5)
        described = by_name[name]
        axis.set_title(f"{described.group}: {described.label}{_arrow(described)}", fontsize=10)
        axis.grid(axis="x", color="#eee")
    return svg_uri(figure)
