"""The evaluation as a self-contained HTML page."""

from __future__ import annotations

import html
from typing import Any

from PIL import Image

from splatmem.evaluate.figures import FIGURES, Figure
from splatmem.evaluate.table import TITLES, best, verdict
from splatmem.report.html import STYLE, new_figure, picture_uri, svg_uri

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
MORE_STYLE = """
body { max-width: 1500px; } td, th { padding: .2em .9em; text-align: right; font-variant-numeric: tabular-nums; }
td:first-child, th:first-child { text-align: left; } small { color: #888; display: block; } .best { font-weight: 700; }
.surely-better { color: #17722f; } .surely-worse { color: #b3261e; } tr:nth-child(even) { background: #f6f6f6; }
dt { font-weight: 600; margin-top: .4em; } dd { margin-left: 1.5em; }
"""


def report_page(report: dict[str, Any], sheets: dict[str, Image.Image]) -> str:
    """The page as text; pictures are embedded, nothing is fetched.

    Args:
        report: what evaluate.json holds.
        sheets: a picture for each scene.
    """
    reference = report["reference"]
    groups = "".join(
        f"<h2>{html.escape(name)} ({_scenes(group['scenes'])})</h2>{_tables(group, reference)}"
        for name, group in report["groups"].items()
    )
    scenes = "".join(
        f"""<h3>{html.escape(name)}</h3><p>{_facts(report["scenes"][name])}</p>
<img alt="films of {html.escape(name)}, one in each row" src="{picture_uri(sheet)}">
<details><summary>figures</summary>{_tables({"methods": report["scenes"][name]["methods"], "differences": {}}, reference)}
</details>"""
        for name, sheet in sheets.items()
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>splatmem evaluation: {html.escape(report["preset"])}</title>
<style>{STYLE}{MORE_STYLE}</style></head><body>
<h1>Films from one frame, against the truth</h1>
<p>Preset {html.escape(report["preset"])} {html.escape(" ".join(report["overrides"]))}, seed {report["seed"]}.
<b>embedded</b> is that preset's own inpainter with the memory, <b>no_memory</b> the same without. Small print: {reference}
minus the row's method, with the interval of 95 % of a paired bootstrap over scenes. <span class="surely-better">Green</span>:
{reference} is better, the interval excludes zero, and there are at least six scenes; <span class="surely-worse">red</span>: it
is worse. Bold: the best of a column. No interval for a single scene.</p>
<h2>All scenes ({_scenes(list(report["scenes"]))})</h2>
{_tables(report, reference)}
<img alt="figures with intervals and scenes" src="{_plot(report)}">
{groups}
<h2>Scenes</h2>
{scenes}
<h2>What the figures mean</h2>
<dl>{"".join(f"<dt>{f.group}: {f.label} <code>{f.name}</code></dt><dd>{f.meaning}</dd>" for f in FIGURES)}</dl>
<p>Versions: {html.escape(", ".join(f"{name} {version}" for name, version in report["versions"].items()))}.</p>
</body></html>
"""


def _scenes(names: list[str]) -> str:
    return "1 scene" if len(names) == 1 else f"{len(names)} scenes"


def _facts(scene: dict[str, Any]) -> str:
    film, compared = ("×".join(map(str, scene[key])) for key in ("size", "compared_size"))
    at = "" if film == compared else f", compared at {compared}"
    kept, made = 100 * scene["kept_share"], 100 * scene["made_share"]
    return f"{scene['frames']} frames of {film}{at}; {kept:.0f} % of them kept, {made:.0f} % made (pink in the second row)"


def _tables(summary: dict[str, Any], reference: str) -> str:
    return "".join(_table(summary, reference, group, title) for group, title in TITLES.items())


def _table(summary: dict[str, Any], reference: str, group: str, title: str) -> str:
    methods = summary["methods"]
    columns = [f for f in FIGURES if f.group == group and any(row[f.name] is not None for row in methods.values())]
    if not columns:
        return ""
    head = "".join(f'<th title="{html.escape(f.meaning)}">{f.label}{_arrow(f)}</th>' for f in columns)
    tops = {f.name: best(f, methods) for f in columns}
    rows = ""
    for name, row in methods.items():
        cells = "".join(
            _cell(f, row[f.name], name in tops[f.name], summary["differences"].get(name, {}).get(f.name)) for f in columns
        )
        label = f"<b>{name}</b>" if name == reference else name
        rows += f"<tr><td>{label}</td>{cells}</tr>"
    return f"<h4>{html.escape(title)}</h4><table><tr><th></th>{head}</tr>{rows}</table>"


def _arrow(figure: Figure) -> str:
    return {"higher": " ↑", "lower": " ↓", None: ""}[figure.better]


def _cell(figure: Figure, value: float | None, is_best: bool, difference: dict[str, Any] | None) -> str:
    if value is None:
        return "<td>–</td>"
    text = format(value, figure.form)
    small = ""
    if difference is not None:
        kind = {"+": "surely-better", "-": "surely-worse", "": ""}[verdict(figure, difference)]
        form = "+" + figure.form
        ends = "" if difference["low"] is None else f" [{difference['low']:{form}}, {difference['high']:{form}}]"
        small = f'<small class="{kind}">{difference["mean"]:{form}}{ends}</small>'
    return f'<td class="{"best" if is_best else ""}">{text}{small}</td>'


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
