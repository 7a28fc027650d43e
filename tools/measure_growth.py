"""What a window costs in a scene that has grown large: seconds by stage and bytes on disk, for paths of several lengths.

The camera goes along an endless wall with pillars, whose picture and depth are known at every place: an inpainter and a depth
model that take no time of their own, so that what is measured is the loop, the memory and the session. Windows that bring
about half a picture are compared: of each path the last of them count, and the film's last frames.

    python tools/measure_growth.py --frames 100 500 2000 --out out/growth.json
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
import tyro
from jaxtyping import Float
from splatmem.depth import DepthPrediction
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


def cpu_clock() -> StageClock:
    """Of CPU seconds, since machines are shared."""
    return StageClock(now=time.process_time)


def cpu_seconds(memory: SpatialMemory, camera: Cameras) -> float:
    """Of one frame of a film."""
    with (clock := cpu_clock()).stage("frame"):
        memory.film(camera)
    return clock.seconds["frame"]


def measured(frames: int, options: Options, folder: Path) -> dict[str, float]:
    """Medians over the last windows of a path."""
    width, height = options.size
    first = identity_camera(60.0, width, height)
    spacing = STEP * 2 * WALL * np.tan(np.radians(30.0))
    poses = first.world_to_cam.repeat(frames, 1, 1)
    poses[:, 0, 3] = -spacing * torch.arange(frames)
    film = Trajectory(Cameras(poses, first.intrinsics.repeat(frames, 1, 1), width, height))

    memory, state, generator = SpatialMemory(), ExploreState(), torch.Generator().manual_seed(0)
    memory.write(wall(first)[0][0], wall(first)[1][0], first, torch.ones(height, width, dtype=torch.bool))
    traits, settings, store = Traits.of(inpaint), ExploreSettings(), SessionStore(folder)
    # All frames are candidates from the start: then every path is gone in the same way, on from what is known.
    planner = PicturePlanner(fit_scene_layout(memory, film.cameras), 1, PlanSettings(max_candidates=frames))
    records: list[dict[str, float]] = []
    started = time.perf_counter()
    while len(state.windows) <= options.most_windows * frames:
        clock = cpu_clock()
        with clock.stage("plan"):
            plan = planner(memory, film, [m for window in state.windows for m in window])
        if not len(plan.window):
            break
        unknown = float((~memory.film(plan.window.cameras)[1]).float().mean())
        make_window(memory, plan.window.cameras, inpaint, traits, no_depth, generator, settings, clock, "", state)
        state.windows.append(plan.window.moments)
        with clock.stage("save"):
            store.save(memory, lists={"windows": state.windows, "border_steps": state.border_steps})
        size_of_last = max(folder.glob("part-*")).stat().st_size + (folder / "session.json").stat().st_size
        seconds = {"window": sum(clock.seconds.values()), **clock.seconds}
        records.append({"unknown": unknown, **seconds, "bytes": size_of_last})
    else:
        raise RuntimeError(f"a path of {frames} frames is not finished after {len(records)} windows")
    last = [record for record in records if ALIKE[0] < record["unknown"] < ALIKE[1]][-options.last :]
    medians = {key: median(record.get(key, 0.0) for record in last) for key in last[-1]}
    shown = [cpu_seconds(memory, film.cameras[index]) for index in range(frames - options.last, frames)]
    return {
        "frames": frames,
        "windows": len(records),
        "gaussians": len(memory.gaussians),
        **medians,
        "frame": median(shown),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "total": time.perf_counter() - started,
    }


def no_depth(images: Float[Tensor, "t h w 3"], *, fov_x_degrees: float | None = None) -> DepthPrediction:
    raise AssertionError("the inpainter makes depth")


def main(options: Options) -> None:
    rows = []
    for frames in options.frames:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measured(frames, options, Path(folder) / "memory"))
        print("  ".join(f"{key} {value:.4g}" for key, value in rows[-1].items()), flush=True)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main(tyro.cli(Options))
