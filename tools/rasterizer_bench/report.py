"""The tables of the benchmark as Markdown, a plot, and the page of the documentation that shows both."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import matplotlib

from rasterizer_bench.roofs import Roofs, Work

matplotlib.use("Agg")
import matplotlib.pyplot as plt

STAGES = ("project", "sort_and_bin", "composite_forward", "composite_backward", "project_backward")
BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"


@dataclass
class Case:
    """One scene at one size. Times in seconds per view: the fastest and the median of the rounds, averaged over the views."""

    scene: str
    size: str
    threads: int
    forward: dict[str, tuple[float, float]] = field(default_factory=dict)  # by contender
    both: dict[str, tuple[float, float]] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)  # the fastest
    least: dict[str, float] = field(default_factory=dict)  # by the machine's roofs
    work: Work | None = None
    film: float | None = None  # seconds of all its frames, drawn in one call


def processor() -> str:
    """The processor's model, as it names itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.1f}" if seconds < 1 else f"{1e3 * seconds:.0f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def times_table(cases: list[Case]) -> str:
    """Forward and forward with backward, fastest and median; ratios are of the fastest."""
    contenders = list(cases[0].both)
    ratio = "prototype" in contenders
    header = ["scene", "size", "threads"]
    header += [f"{name}: forward, + backward (median)" for name in contenders]
    header += ["to the prototype"] * ratio
    rows = []
    for case in cases:
        row = [case.scene, case.size, str(case.threads)]
        for name in contenders:
            (forward, forward_median), (both, both_median) = case.forward[name], case.both[name]
            row.append(
                f"{milliseconds(forward)}, {milliseconds(both)} ({milliseconds(forward_median)}, {milliseconds(both_median)})"
            )
        if ratio:
            ratios = [times["splatmem"][0] / times["prototype"][0] for times in (case.forward, case.both)]
            row.append("{:.2f}, {:.2f}".format(*ratios))
        rows.append(row)
    return table(header, rows)


def stages_table(cases: list[Case]) -> str:
    """Milliseconds of each stage with its share of the roof, and nanoseconds per pair of all of them."""
    header = ["scene", "size", "visible", "pairs", *(name.replace("_", " ") for name in STAGES), "ns per pair"]
    rows = []
    for case in cases:
        if case.work is None:
            continue
        row = [case.scene, case.size, f"{case.work.visible:,}", f"{case.work.pairs:,}"]
        row += [f"{1e3 * case.stages[s]:.1f} ({100 * case.least[s] / case.stages[s]:.0f} %)" for s in STAGES]
        rows.append([*row, f"{1e9 * sum(case.stages.values()) / case.work.pairs:.0f}"])
    return table(header, rows)


def peers_table(cases: list[Case]) -> str:
    """Times of what else runs on a CPU, and how many times longer it takes."""
    header = ["scene", "size", "Open3D: forward", "torch tiles: forward", "torch tiles: + backward"]
    rows = []
    for case in cases:
        row = [case.scene, case.size]
        for name, times in (("Open3D", case.forward), ("torch tiles", case.forward), ("torch tiles", case.both)):
            if name not in times:
                row.append("-")
                continue
            row.append(f"{milliseconds(times[name][1])} ({times[name][1] / times['splatmem'][1]:.0f}x)")
        rows.append(row)
    return table(header, rows)


def films_table(cases: list[Case], frames: int) -> str:
    """Seconds of a film and milliseconds of a frame."""
    rows = [[c.scene, c.size, f"{c.film:.2f}", f"{1e3 * c.film / frames:.1f}"] for c in cases if c.film is not None]
    return table(["scene", "size", f"{frames} frames, s", "a frame, ms"], rows)


def roofs_line(r: Roofs) -> str:
    return (
        f"Roofs measured with {r.threads} thread{'s' * (r.threads > 1)}: {r.operations / 1e9:.0f} GFLOP/s in multiply-adds, "
        f"{r.exponentials / 1e9:.2f} G/s of the kernels' 2^x, {r.read / 1e9:.1f} GB/s read, {r.copied / 1e9:.1f} GB/s copied."
    )


def text(cases: list[Case], roofs: list[Roofs], instruction_set: str, rounds: int, frames: int) -> str:
    peers = [case for case in cases if "Open3D" in case.forward or "torch tiles" in case.forward]
    times = [
        Case(
            c.scene,
            c.size,
            c.threads,
            *({k: v for k, v in t.items() if k in ("splatmem", "prototype")} for t in (c.forward, c.both)),
        )
        for c in cases
    ]
    parts = [
        f"{os.cpu_count()} cores of an {processor()}, {instruction_set} kernels. Milliseconds per view, colour with "
        f"depth and alpha: the fastest of {rounds} rounds and, in brackets, their median; the contenders took turns in "
        f"every round.",
        times_table(times),
        "Stages with the share that the machine's roofs would take of their time, as the next paragraph says:",
        stages_table(cases),
        *map(roofs_line, roofs),
    ]
    if frames:
        parts += ["A film along the same walk, drawn in one call without gradients:", films_table(cases, frames)]
    if peers:
        parts += [
            "What else draws Gaussians on this processor, median times and how many times ours they are:",
            peers_table(peers),
        ]
    return "\n\n".join(parts) + "\n"


def plot(cases: list[Case], path: Path) -> None:
    """Bars of all contenders, forward and with backward, on a logarithmic axis."""
    most = max(case.threads for case in cases)
    cases = [case for case in cases if case.threads == most]
    figure, axes = plt.subplots(2, 1, figsize=(11, 7), sharex=True, constrained_layout=True)
    labels = [f"{case.scene}\n{case.size}" for case in cases]
    for axis, title, of in zip(axes, ("forward", "forward and backward"), (lambda c: c.forward, lambda c: c.both), strict=True):
        names = list(dict.fromkeys(name for case in cases for name in of(case)))
        width = 0.8 / len(names)
        for i, name in enumerate(names):
            places = [k + (i - (len(names) - 1) / 2) * width for k, case in enumerate(cases) if name in of(case)]
            heights = [1e3 * of(case)[name][1] for case in cases if name in of(case)]
            bars = axis.bar(places, heights, width, label=name)
            axis.bar_label(bars, [f"{h:.0f}" for h in heights], fontsize=7)
        axis.set_yscale("log")
        axis.set_ylabel("median ms per view")
        axis.set_title(f"{title}, {most} threads", loc="left")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, ncols=len(names), loc="upper left", bbox_to_anchor=(0.3, 1.12))
    axes[-1].set_xticks(range(len(cases)), labels)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def write_into(page: Path, report: str) -> None:
    """Puts the report between the two marks of a page.

    Raises:
        ValueError: if the page has no such marks.
    """
    before = page.read_text()
    if BEGIN not in before or END not in before:
        raise ValueError(f"expected the lines {BEGIN} and {END} in {page}")
    page.write_text(re.sub(f"(?s){re.escape(BEGIN)}.*{re.escape(END)}", lambda _: f"{BEGIN}\n{report}\n{END}", before))


def mean_of_views(times: list[list[float]]) -> tuple[float, float]:
    """Fastest and median of each view's times, averaged over the views."""
    return sum(map(min, times)) / len(times), sum(map(median, times)) / len(times)
