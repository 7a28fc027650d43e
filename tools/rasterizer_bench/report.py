"""The figures of the benchmark as Markdown tables and a plot, and the page of the documentation that shows both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib

from rasterizer_bench.results import Case, Results, Times
from rasterizer_bench.roofs import STAGES, Roofs, least_seconds

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"
OPEN3D, TORCH = "Open3D", "torch tiles"
PEERS = (OPEN3D, TORCH)
COLORS = {"splatmem": "tab:blue", "prototype": "tab:orange", OPEN3D: "tab:green", TORCH: "tab:red"}
NOTHING = "-"


def milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.1f}" if seconds < 1 else f"{1e3 * seconds:.0f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def times_table(cases: list[Case]) -> str:
    """Forward and forward with backward, fastest and median; ratios are of the fastest."""
    contenders = [name for name in ("splatmem", "prototype") if any(name in case.both for case in cases)]
    compared = "prototype" in contenders
    header = ["scene", "size", "threads"]
    header += [f"{name}: forward, + backward (median)" for name in contenders]
    header += ["to the prototype"] * compared
    rows = []
    for case in cases:
        row = [case.scene, case.size, str(case.threads)]
        row += [_forward_and_both(case, name) for name in contenders]
        if compared:
            row.append(_ratios_to_prototype(case))
        rows.append(row)
    return table(header, rows)


def _forward_and_both(case: Case, name: str) -> str:
    if name not in case.both:
        return NOTHING
    forward, both = case.forward[name], case.both[name]
    fastest, median = ([milliseconds(getattr(t, which)) for t in (forward, both)] for which in ("fastest", "median"))
    return f"{', '.join(fastest)} ({', '.join(median)})"


def _ratios_to_prototype(case: Case) -> str:
    if "prototype" not in case.both:
        return NOTHING
    return ", ".join(f"{t['splatmem'].fastest / t['prototype'].fastest:.2f}" for t in (case.forward, case.both))


def stages_table(cases: list[Case], roofs: dict[int, Roofs]) -> str:
    """Milliseconds of each stage with its share of the roof, and nanoseconds per pair of all of them."""
    header = ["scene", "size", "visible", "pairs", *(name.replace("_", " ") for name in STAGES), "ns per pair"]
    rows = []
    for case in cases:
        if case.work is None:
            continue
        least = least_seconds(case.work, *(int(side) for side in case.size.split("x")), roofs[case.threads])
        row = [case.scene, case.size, f"{case.work.visible:,}", f"{case.work.pairs:,}"]
        row += [f"{1e3 * case.stages[s]:.1f} ({100 * least[s] / case.stages[s]:.0f} %)" for s in STAGES]
        rows.append([*row, f"{1e9 * sum(case.stages.values()) / case.work.pairs:.0f}"])
    return table(header, rows)


def peers_table(cases: list[Case]) -> str:
    """Times of what else runs on a CPU, and how many times longer it takes."""
    header = ["scene", "size", f"{OPEN3D}: forward", f"{TORCH}: forward", f"{TORCH}: + backward"]
    rows = []
    for case in cases:
        of = ((case.forward, OPEN3D), (case.forward, TORCH), (case.both, TORCH))
        rows.append([case.scene, case.size, *(_peer(times, name) for times, name in of)])
    return table(header, rows)


def _peer(times: dict[str, Times], name: str) -> str:
    if name not in times or "splatmem" not in times:
        return NOTHING
    return f"{milliseconds(times[name].median)} ({times[name].median / times['splatmem'].median:.0f}x)"


def films_table(cases: list[Case], frames: int) -> str:
    """Seconds of a film and milliseconds of a frame."""
    rows = [[c.scene, c.size, f"{c.film * frames:.2f}", f"{1e3 * c.film:.1f}"] for c in cases if c.film is not None]
    return table(["scene", "size", f"{frames} frames, s", "a frame, ms"], rows)


def roofs_line(r: Roofs) -> str:
    return (
        f"Roofs measured with {r.threads} thread{'s' * (r.threads > 1)}: {r.operations / 1e9:.0f} GFLOP/s in multiply-adds, "
        f"{r.exponentials / 1e9:.2f} G/s of the kernels' 2^x, {r.read / 1e9:.1f} GB/s read, {r.copied / 1e9:.1f} GB/s copied."
    )


def rounds_of(cases: list[Case], name: str) -> str:
    """How often a contender was timed: "7", or "3 to 7" where cases differ."""
    rounds = sorted({times[name].rounds for case in cases for times in (case.forward, case.both) if name in times})
    return f"{rounds[0]}" if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]}"


def text(results: Results, instruction_sets: Sequence[str], frames: int) -> str:
    """All tables; those of the first of the instruction sets, the processor's best, with stages, films and peers."""
    parts = [f"{results.machine}. Milliseconds per view, colour with depth and alpha."]
    for name in instruction_sets:
        if not (timed := [case for case in results.of(name) if "splatmem" in case.both]):
            continue
        parts += [
            f"With the **{name}** kernels: the fastest of {rounds_of(timed, 'splatmem')} rounds and, in brackets, their "
            f"median; the contenders took turns in every round.",
            times_table(timed),
        ]
    best = results.of(instruction_sets[0])
    if any(case.work for case in best):
        parts += [
            f"Stages of the {instruction_sets[0]} kernels, the fastest of each; in brackets the share that the machine would "
            f"take at least, by the roofs of small loops and by what the scene asks for (tools/rasterizer_bench/roofs.py):",
            stages_table(best, results.roofs),
            *map(roofs_line, results.roofs.values()),
        ]
    if any(case.film for case in best):
        parts += ["A film along the same walk, drawn in one call without gradients:", films_table(best, frames)]
    if peers := [case for case in best if any(name in case.forward for name in PEERS)]:
        parts += [
            "What else draws Gaussians on this processor, and how many times ours that takes: Open3D's splat renderer on "
            "Mesa's llvmpipe, the median of a few rounds (it leaves single tiles black), and gsplat's projection with a loop "
            "over tiles in plain torch, the first view drawn once, and not taken back where that asks for more memory than "
            "there is:",
            peers_table(peers),
        ]
    return "\n\n".join(parts) + "\n"


def plot(cases: list[Case], path: Path) -> None:
    """Bars of all contenders with most threads, forward and with backward, on a logarithmic axis."""
    most = max(case.threads for case in cases)
    cases = [case for case in cases if case.threads == most and case.both]
    figure, axes = plt.subplots(2, 1, figsize=(13, 7), sharex=True, constrained_layout=True)
    labels = [f"{case.scene}\n{case.size}" for case in cases]
    kinds = (("forward", lambda c: c.forward), ("forward and backward", lambda c: c.both))
    for axis, (title, of) in zip(axes, kinds, strict=True):
        names = [name for name in COLORS if any(name in of(case) for case in cases)]
        width = 0.8 / max(len(names), 1)
        for i, name in enumerate(names):
            places = [k + (i - (len(names) - 1) / 2) * width for k, case in enumerate(cases) if name in of(case)]
            heights = [1e3 * of(case)[name].median for case in cases if name in of(case)]
            bars = axis.bar(places, heights, width, label=name, color=COLORS[name])
            axis.bar_label(bars, [f"{h:.0f}" for h in heights], fontsize=7)
        axis.set_yscale("log")
        axis.set_ylabel("median ms per view")
        axis.set_title(f"{title}, {most} threads, {cases[0].instruction_set}", loc="left")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, ncols=len(names), loc="upper right", bbox_to_anchor=(1, 1.12))
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
