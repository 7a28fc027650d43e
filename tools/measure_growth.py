"""What a window costs in a scene that has grown large: seconds by stage and bytes on disk, for paths of several lengths.

The camera goes along an endless wall with pillars, whose picture and depth are known at every place: an inpainter and a depth
model that take no time of their own, so that what is measured is the loop, the memory and the session. Windows that bring
about half a picture are compared: of each path the last of them count, and the film's last frames. These are made in turn, a
window of each path, so that whoever else works on the machine does so for all of them.

    python tools/measure_growth.py --frames 100 500 2000 --out out/growth.json
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float
from splatmem.depth import DepthPrediction
from splatmem.depth.alignment import AlignedDepth, align
from splatmem.explore.loop import ExploreSettings, ExploreState, make_window
from splatmem.explore.planner import PicturePlanner, PlanSettings
from splatmem.extrapolate.scene import fit_scene_layout
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.inpaint import FilledFrames, PartialFrames
from splatmem.inpaint.protocol import Traits
from splatmem.jobs.option_types import Size
from splatmem.memory import SpatialMemory
from splatmem.memory.session import SessionStore
from splatmem.timing import StageClock
from splatmem.trajectory.trajectory import Trajectory
from torch import Tensor

WALL = 2.0  # distance of the wall from the path
STEP = 0.25  # between two frames, of what a frame shows of the wall
ALIKE = (0.3, 0.7)  # share of a picture that is unknown before the windows that are compared


@dataclass
class Options:
    """What to measure."""

    frames: tuple[int, ...] = (100, 500, 2000)
    """Lengths of the paths, in the order in which they are gone."""
    size: Size = (96, 64)
    """Of the pictures."""
    last: int = 20
    """Windows at the end of each path that count."""
    most_windows: int = 3
    """No path gets more windows than this times its frames: a plan that does not end is an error."""
    out: Path | None = None
    """Where the figures go, as JSON."""


def wall(cameras: Cameras) -> tuple[Float[Tensor, "v h w 3"], Float[Tensor, "v h w"]]:
    """Colours and z-depth of a wall with pillars, for cameras that look at it along +z."""
    rays = cameras.unproject(torch.ones(len(cameras), cameras.height, cameras.width)) - cameras.centers[:, None, None]
    x = cameras.centers[:, None, None, 0] + WALL * rays[..., 0]
    depth = torch.where((x % 1.5) < 0.25, 0.9 * WALL, WALL)
    points = cameras.centers[:, None, None] + depth[..., None] * rays
    waves = [torch.sin(points[..., :2] @ torch.tensor(w)) for w in ((9.0, 4.0), (-5.0, 11.0), (23.0, 17.0))]
    return (0.5 + 0.3 * torch.stack(waves, -1)).clamp(0, 1), depth


def inpaint(partial: PartialFrames, **_: object) -> FilledFrames:
    """The wall itself."""
    return FilledFrames(*wall(partial.cameras))


def kept_as_told(depth: Float[Tensor, "h w"], known_depth: Float[Tensor, "h w"], known: Bool[Tensor, "h w"]) -> AlignedDepth:
    """The work of ``align``, and the depth as it was told, which is right here. Each alignment is off by about a thousandth:
    after hundreds the wall would stand elsewhere, and the windows at the end of a path would show other shares of it."""
    return replace(align(depth, known_depth, known), depth=torch.where(known, known_depth, depth))


def cpu_clock() -> StageClock:
    """Of CPU seconds, since machines are shared."""
    return StageClock(now=time.process_time)


@dataclass
class Walk:
    """A path that is gone window by window.

    Attributes:
        records: of each window, what it cost and the share of its picture that it brought.
        moment: of the last one, in frames.
        finished: whether all of the path is known.
    """

    frames: int
    options: Options
    folder: Path
    records: list[dict[str, float]] = field(default_factory=list)
    moment: float = 0.0
    finished: bool = False

    def __post_init__(self) -> None:
        width, height = self.options.size
        first = identity_camera(60.0, width, height)
        spacing = STEP * 2 * WALL * np.tan(np.radians(30.0))
        poses = first.world_to_cam.repeat(self.frames, 1, 1)
        poses[:, 0, 3] = -spacing * torch.arange(self.frames)
        self.film = Trajectory(Cameras(poses, first.intrinsics.repeat(self.frames, 1, 1), width, height))
        self.memory, self.state, self.generator = SpatialMemory(), ExploreState(), torch.Generator().manual_seed(0)
        self.memory.write(wall(first)[0][0], wall(first)[1][0], first, torch.ones(height, width, dtype=torch.bool))
        self.store = SessionStore(self.folder)
        # All frames are candidates from the start: then every path is gone in the same way, on from what is known.
        settings = PlanSettings(max_candidates=self.frames)
        self.planner = PicturePlanner(fit_scene_layout(self.memory, self.film.cameras), 1, settings)

    def go_on(self) -> None:
        """Makes the next window."""
        clock, windows = cpu_clock(), self.state.windows
        with clock.stage("plan"):
            plan = self.planner(self.memory, self.film, [m for window in windows for m in window])
        self.finished = not len(plan.window)
        if self.finished:
            return
        if len(windows) > self.options.most_windows * self.frames:
            raise RuntimeError(f"a path of {self.frames} frames is not finished after {len(windows)} windows")
        cameras, self.moment = plan.window.cameras, plan.window.moments[0]
        unknown = float((~self.memory.film(cameras)[1]).float().mean())
        settings, traits = ExploreSettings(), Traits.of(inpaint)
        make_window(self.memory, cameras, inpaint, traits, no_depth, self.generator, settings, clock, "", self.state)
        windows.append(plan.window.moments)
        with clock.stage("save"):
            self.store.save(self.memory, lists={"windows": windows, "border_steps": self.state.border_steps})
        written = max(self.folder.glob("part-*")).stat().st_size + (self.folder / "session.json").stat().st_size
        self.records.append({"unknown": unknown, "window": sum(clock.seconds.values()), **clock.seconds, "bytes": written})

    def figures(self) -> dict[str, float]:
        """Medians over the last windows that bring about half a picture."""
        last = [record for record in self.records if ALIKE[0] < record["unknown"] < ALIKE[1]][-self.options.last :]
        medians = {key: median(record.get(key, 0.0) for record in last) for key in last[-1]}
        return {"frames": self.frames, "windows": len(self.records), "gaussians": len(self.memory.gaussians), **medians}

    def frame_seconds(self, back: int) -> float:
        """Processor seconds of one frame of the film, so many before the last."""
        with (clock := cpu_clock()).stage("frame"):
            self.memory.film(self.film.cameras[self.frames - 1 - back])
        return clock.seconds["frame"]


def measured(options: Options, folder: Path) -> list[dict[str, float]]:
    """Figures of each path. The last windows and frames of all of them are made in turn, since machines are shared."""
    walks = [Walk(frames, options, folder / str(frames)) for frames in options.frames]
    shortest = min(options.frames)
    for walk in walks:
        while walk.moment < walk.frames - shortest and not walk.finished:
            walk.go_on()
    while not all(walk.finished for walk in walks):
        for walk in walks:
            if not walk.finished:
                walk.go_on()
    shown = [[walk.frame_seconds(back) for walk in walks] for back in range(options.last)]
    frames = [median(seconds) for seconds in zip(*shown, strict=True)]
    return [{**walk.figures(), "frame": seconds} for walk, seconds in zip(walks, frames, strict=True)]


def no_depth(images: Float[Tensor, "t h w 3"], *, fov_x_degrees: float | None = None) -> DepthPrediction:
    raise AssertionError("the inpainter makes depth")


def main(options: Options) -> None:
    with tempfile.TemporaryDirectory() as folder, patch("splatmem.explore.frames.align", kept_as_told):
        rows = measured(options, Path(folder))
    ratios = {key: value / rows[0][key] for key, value in rows[-1].items() if rows[0][key]}
    for name, row in [*((f"{row['frames']} frames", row) for row in rows), ("the last to the first", ratios)]:
        print(f"{name}:", "  ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main(tyro.cli(Options))
