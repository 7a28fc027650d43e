"""The evaluation as tables on a terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from splatmem.evaluation.figures import FIGURES, Figure, Figures

MIN_SCENES = 6  # from which on a difference may be called sure

TITLES = {
    "photo": "photo: its depth",
    "kept": "kept: what the first frame shows",
    "made": "made: what it does not show",
    "uncovered": "uncovered: what the photo's things hid",
    "loop": "loop: holding together",
    "cameras": "cameras: as COLMAP finds them in the film",
    "cost": "cost",
}


def tables(summary: dict[str, Any], reference: str, heading: str) -> list[Table]:
    """One table for each group of figures, methods as rows.

    Args:
        summary: ``methods`` and ``differences`` as in evaluate.json.
        reference: the method that the others are compared with.
        heading: what the figures are means of.
    """
    rows = summary["methods"].values()
    given = {figure.group for figure in FIGURES if any(row[figure.name] is not None for row in rows)}
    return [_table(summary, reference, group, f"{title} ({heading})") for group, title in TITLES.items() if group in given]


def verdict(figure: Figure, difference: dict[str, Any] | None) -> str:
    """``+`` where the reference is surely better than the other method, ``-`` where it is surely worse, else nothing.

    Surely: the interval of the paired differences lies on one side of zero, and there are scenes enough: with fewer than
    six, even if all of them agree, chance does the same more often than once in twenty (sign test, two-sided).
    """
    if difference is None or figure.better is None or difference["low"] is None or difference["scenes"] < MIN_SCENES:
        return ""
    higher, lower = difference["low"] > 0, difference["high"] < 0
    if not (higher or lower):
        return ""
    return "+" if higher == (figure.better == "higher") else "-"


def best(figure: Figure, methods: dict[str, Figures]) -> set[str]:
    """The methods that are shown as the best in a column."""
    values = {name: row[figure.name] for name, row in methods.items() if row[figure.name] is not None}
    if figure.better is None or len(set(values.values())) < 2:
        return set()
    shown = {name: float(format(value, figure.form.replace(",", ""))) for name, value in values.items()}
    top = (max if figure.better == "higher" else min)(shown.values())
    return {name for name, value in shown.items() if value == top}


def _table(summary: dict[str, Any], reference: str, group: str, title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("")
    columns = [f for f in FIGURES if f.group == group and any(row[f.name] is not None for row in summary["methods"].values())]
    for figure in columns:
        table.add_column(figure.label, justify="right")
    tops = {figure.name: best(figure, summary["methods"]) for figure in columns}
    for name, row in summary["methods"].items():
        cells = []
        for figure in columns:
            value = row[figure.name]
            sign = verdict(figure, summary["differences"].get(name, {}).get(figure.name))
            text = "–" if value is None else format(value, figure.form)
            cells.append((f"[bold]{text}[/]" if name in tops[figure.name] else text) + (f" {sign}" if sign else "  "))
        table.add_row(f"[cyan]{name}[/]" if name == reference else name, *cells)
    return table
