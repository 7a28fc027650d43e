"""The embedded depth model on scenes with depth: of whole pictures, and of holes in depth that is known.

    python tools/measure_depth.py out/validation/rooms/*
    python tools/measure_depth.py out/validation/rooms/* --size 512 288

Whole pictures: mean relative error and share of pixels within a factor of 1.25, after the best factor for each picture and
after the best factor and shift; and how long a picture takes.

Holes: the picture is whole; its true depth is hidden in a hole. Three ways to close it: the nearest known depth smeared in;
the depth model's own estimate, times the best factor on the known; and the package's agreement, which also spreads what
disagrees at the hole's border. Printed: share of the hole's pixels whose depth is within a factor of 1.25.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float
from rich.console import Console
from rich.table import Table
from scipy.ndimage import distance_transform_edt
from splatmem.depth import load_depth_estimator
from splatmem.depth.alignment import align
from splatmem.evaluation.scenes import load_scene
from splatmem.metrics import depth_delta1
from torch import Tensor

Hole = Callable[[Float[Tensor, "h w"]], Bool[Tensor, "h w"]]
CLOSED_BY = ("nearest smear", "scaled estimate", "agreement")


@dataclass
class Options:
    """Which scenes, with depth."""

    scenes: Annotated[tuple[Path, ...], tyro.conf.Positional]
    frames: int = 24
    """Of each scene."""
    size: tuple[int, int] = (256, 144)
    """Width and height."""


def side(share: float) -> Hole:
    """What a turn has not seen yet."""
    return lambda depth: (torch.arange(depth.shape[1]) >= (1 - share) * depth.shape[1]).expand(depth.shape)


def middle(share: float) -> Hole:
    """Where a turn closes at the back."""
    return lambda depth: ((torch.arange(depth.shape[1]) / depth.shape[1] - 0.5).abs() < 0.5 * share).expand(depth.shape)


def behind_things(depth: Float[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Strips to the right of steps in depth, as wide as a twelfth of the picture."""
    width = depth.shape[1] // 12
    edge = depth.log().diff(dim=1, append=depth[:, -1:].log()) > 0.1
    return torch.nn.functional.max_pool1d(torch.nn.functional.pad(edge.float(), (width, 0)), width + 1, 1) > 0


HOLES: dict[str, Hole] = {
    "side, a third": side(1 / 3),
    "side, two thirds": side(2 / 3),
    "middle, a third": middle(1 / 3),
    "behind things": behind_things,
}


def smeared(depth: Float[Tensor, "h w"], known: Bool[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    nearest = distance_transform_edt(~known.numpy(), return_distances=False, return_indices=True)
    row, column = torch.from_numpy(np.asarray(nearest)).long()
    return depth[row, column]


def close(
    estimate: Float[Tensor, "h w"], truth: Float[Tensor, "h w"], known: Bool[Tensor, "h w"]
) -> dict[str, Float[Tensor, "h w"]]:
    factor = (truth[known] / estimate[known]).median()
    closed = (smeared(truth, known), factor * estimate, align(estimate, truth, known).depth)
    return dict(zip(CLOSED_BY, closed, strict=True))


def fitted(estimate: Float[Tensor, " n"], truth: Float[Tensor, " n"], *, shift: bool) -> Float[Tensor, " n"]:
    """The estimate times a factor, and moved by a shift, with the least relative error squared."""
    terms = [estimate / truth, 1 / truth] if shift else [estimate / truth]
    solution = torch.linalg.lstsq(torch.stack(terms, dim=1).double(), torch.ones(len(truth), 1, dtype=torch.float64)).solution
    return estimate * float(solution[0, 0]) + (float(solution[1, 0]) if shift else 0.0)


def main(options: Options) -> None:
    estimator = load_depth_estimator("embedded")
    mono: dict[str, list[tuple[float, float]]] = {"factor": [], "factor and shift": []}
    closed: dict[str, dict[str, list[float]]] = {hole: {name: [] for name in CLOSED_BY} for hole in HOLES}
    seconds = []
    for folder in options.scenes:
        scene = load_scene(folder, frames=options.frames, size=options.size)
        for frame in range(len(scene.truth.rgb)):
            truth = scene.truth.depth[frame]
            measured = scene.truth.measured[frame]
            started = time.perf_counter()
            estimate = estimator(scene.truth.rgb[[frame]], fov_x_degrees=scene.path.fov_x_degrees).depth[0]
            seconds.append(time.perf_counter() - started)
            told = measured & torch.isfinite(estimate)
            for name, errors in mono.items():
                depth = fitted(estimate[told], truth[told], shift=name != "factor")
                errors.append((float((depth / truth[told] - 1).abs().mean()), depth_delta1(depth, truth[told], told[told])))
            for hole, shape in HOLES.items():
                hidden = shape(torch.where(measured, truth, 1.0))
                known, asked = measured & ~hidden, measured & hidden
                if known.float().mean() < 0.05 or asked.float().mean() < 0.005:
                    continue
                for name, depth in close(estimate, truth, known).items():
                    closed[hole][name].append(depth_delta1(depth[None], truth[None], asked[None]))
    Console().print(
        mono_table(mono),
        f"a picture of {options.size[0]}x{options.size[1]}: {1000 * np.median(seconds):.0f} ms (median)",
        completion_table(closed),
    )


def mono_table(mono: dict[str, list[tuple[float, float]]]) -> Table:
    table = Table("after the best", "frames", "AbsRel", "within 1.25", title="whole pictures")
    for name, errors in mono.items():
        error, share = np.mean(errors, axis=0)
        table.add_row(name, str(len(errors)), f"{error:.3f}", f"{share:.3f}")
    return table


def completion_table(closed: dict[str, dict[str, list[float]]]) -> Table:
    table = Table("hole", "frames", *CLOSED_BY, title="share of hidden pixels within a factor of 1.25")
    for hole, by_name in closed.items():
        values = [by_name[name] for name in CLOSED_BY]
        table.add_row(hole, str(len(values[0])), *(f"{np.mean(v):.3f}" if v else "-" for v in values))
    return table


if __name__ == "__main__":
    main(tyro.cli(Options))
