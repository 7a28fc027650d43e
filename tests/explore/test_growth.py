"""What a window costs does not depend on how large the scene and how long the film are: its work is counted, not timed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from splatmem.explore.loop import ExploreSettings, ExploreState, make_window
from splatmem.explore.planner import PicturePlanner, PlanSettings
from splatmem.gaussians import Gaussians, bounds
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import FilledFrames, PartialFrames
from splatmem.inpaint.protocol import Traits
from splatmem.memory import SpatialMemory
from splatmem.memory.session import INDEX, SessionStore
from splatmem.timing import StageClock
from splatmem.trajectory.trajectory import Trajectory
from torch.utils._python_dispatch import TorchDispatchMode

from textured_room import RoomDepth, room, turn

APART = 100.0  # between two rooms, which lie above each other: none is in sight of another
FRAMES = 24  # of the film in each of them
FEW, MANY = 8, 64  # rooms


class CountedWork(TorchDispatchMode):
    """Counts the numbers that PyTorch's operations read or write within; views cost nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        aliases = [value.alias_info for value in func._schema.returns]
        if any(alias is not None and not alias.is_write for alias in aliases):
            return result
        chosen = func.__name__.startswith(("index", "gather", "take"))  # what is chosen from is not read as a whole
        if any(alias is not None for alias in aliases):  # in place: what is written into the first argument
            self.numbers += max(map(_numbers, args[1:]), default=_numbers(args[0]))
        else:
            self.numbers += max(_numbers(result), *(0 if chosen else _numbers(value) for value in args), 0)
        return result


def _numbers(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel()
    return sum(map(_numbers, value)) if isinstance(value, (list, tuple)) else 0


def truth(partial: PartialFrames, **_: object) -> FilledFrames:
    """What the first room looks like."""
    reading = room().render(partial.cameras)
    return FilledFrames(reading.rgb, reading.depth)


def moved(cameras: Cameras, offset: torch.Tensor) -> Cameras:
    poses = cameras.world_to_cam.clone()
    poses[:, :3, 3] -= poses[:, :3, :3] @ offset
    return replace(cameras, world_to_cam=poses)


def rooms(base: SpatialMemory, count: int) -> SpatialMemory:
    """The same room again and again; the first one comes first."""
    offsets = [torch.tensor([0.0, APART * number, 0.0]) for number in range(count)]
    views = [
        replace(view, camera=moved(view.camera, offset), gaussians=(first + view.gaussians[0], first + view.gaussians[1]))
        for first, offset in zip(range(0, count * len(base.gaussians), len(base.gaussians)), offsets, strict=True)
        for view in base.views
    ]
    gaussians = [replace(base.gaussians, means=base.gaussians.means + offset) for offset in offsets]
    return replace(base, gaussians=Gaussians.cat(gaussians), views=views)


@pytest.fixture
def base() -> SpatialMemory:
    """The room as two frames of the turn show it."""
    memory, cameras = SpatialMemory(), turn(FRAMES, 64, 36)
    for frame in (0, 2):
        reading, unknown = room().render(cameras[frame]), torch.ones(36, 64, dtype=torch.bool)
        if memory.views:
            unknown = ~memory.read(cameras[frame]).known[0]
        memory.write(reading.rgb[0], reading.depth[0], cameras[frame], unknown)
    return memory


def of_one_window(base: SpatialMemory, count: int, folder: Path) -> Iterator[int]:
    """The work of the third window in a scene of some rooms, and the bytes that it writes; what comes first is not repeated."""
    memory = rooms(base, count)
    turns = [moved(turn(FRAMES, 64, 36), torch.tensor([0.0, APART * number, 0.0])) for number in range(count)]
    film, state, store = Trajectory(Cameras.cat(turns)), ExploreState(), SessionStore(folder)
    # The windows that were made before are those of the other rooms.
    state.windows += [[float(frame)] for frame in range(FRAMES, len(film)) for _ in range(3)]
    state.border_steps += [0.01] * len(state.windows)
    planner = PicturePlanner(room(), 1, PlanSettings(max_candidates=len(film)))
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        with CountedWork() as work:
            plan = planner(memory, film, [moment for window in state.windows for moment in window])
            assert max(plan.window.moments) < FRAMES
            make_window(
                memory, plan.window.cameras, truth, Traits.of(truth), RoomDepth(film.cameras[0]), generator, ExploreSettings(),
                StageClock(), "", state,
            )  # fmt: skip
            state.windows.append(plan.window.moments)
            store.save(memory, {}, lists={"windows": state.windows, "border_steps": state.border_steps})
        newest = max(folder.glob("part-*"))
        written = newest.stat().st_size + (folder / INDEX).stat().st_size
    yield work.numbers
    yield written


def test_a_window_costs_the_same_in_a_scene_eight_times_as_large(
    base: SpatialMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "LARGE", 0)
    work, written = of_one_window(base, FEW, tmp_path / "few")
    more_work, more_written = of_one_window(base, MANY, tmp_path / "many")
    assert more_work < 1.3 * work
    assert more_written < 1.1 * written
