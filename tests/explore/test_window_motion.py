"""What moves in the frames of a video model: it is left out of the memory, and kept for the film if asked."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from splatmem.explore.beginnings import begin_memory
from splatmem.explore.loop import ExploreSettings, ExploreState, explore
from splatmem.explore.motion import CONTRADICT, MovingPart, motion_of, shown_moving
from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.inpaint import FilledFrames, PartialFrames
from splatmem.memory import SpatialMemory
from splatmem.timing import StageClock
from splatmem.trajectory.trajectory import Trajectory

from moving_ball import with_ball
from textured_room import RoomDepth, room

FRAMES = 7
FIRST = identity_camera(70.0, 96, 54)
PATH = Cameras.cat([FIRST.turned(angle).moved(ahead=angle / 500) for angle in torch.linspace(0, 40, FRAMES).tolist()])
SETTINGS = ExploreSettings(photo_refine_steps=4, refine_steps=2)


def filmed(cameras: Cameras) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The room with a ball that runs along beside the camera's turn: colours, depth, the ball's pixels."""
    turned = torch.atan2(cameras.forward[:, 0], cameras.forward[:, 2])
    at = math.radians(25) + 0.93 * turned
    return with_ball(cameras, torch.stack([2.2 * at.sin(), torch.full_like(at, 0.2), 2.2 * at.cos()], dim=1), radius=0.3)


class Video:
    """A video model that shows the room with the ball."""

    name = "video"
    window_frames = FRAMES
    continuous = True

    def __call__(self, partial: PartialFrames, **given: object) -> FilledFrames:
        rgb, depth, _ = filmed(partial.cameras)
        return FilledFrames(rgb, depth)


def begun() -> SpatialMemory:
    return begin_memory(room().render(FIRST).rgb[0], FIRST, RoomDepth(FIRST), SETTINGS, StageClock())


@pytest.fixture(scope="module")
def explored() -> tuple[SpatialMemory, ExploreState, torch.Tensor]:
    """A memory that was made with the ball about, the exploration, and what was unknown of the path before it."""
    memory = begun()
    unknown = ~memory.read(PATH).known
    state = explore(memory, Trajectory(PATH), Video(), RoomDepth(FIRST), settings=replace(SETTINGS, keep_motion=True))
    return memory, state, unknown


def test_what_moves_is_found_and_what_stands_is_not() -> None:
    memory = begun()
    reading = memory.read(PATH)
    rgb, depth, ball = filmed(PATH)
    motion = motion_of(
        FilledFrames(torch.where(reading.known[..., None], reading.rgb, rgb), depth), reading, PATH, RoomDepth(FIRST)
    )
    assert motion is not None
    made = ~reading.known
    assert (motion.where & ball).sum() >= 0.93 * (made & ball).sum()
    # A margin about the ball, and what enters at the edge beside it, where no other frame looks.
    assert (motion.where & ~ball).sum() <= 0.25 * (made & ~ball).sum()
    assert not (motion.where & reading.known).any()
    rgb, depth = room().render(PATH).rgb, room().render(PATH).depth
    still = motion_of(FilledFrames(rgb, depth), reading, PATH, RoomDepth(FIRST))
    assert still is not None
    assert still.where.float().mean() <= 0.002


def test_noise_does_not_count_as_motion() -> None:
    reading = begun().read(PATH)
    noise = torch.rand(reading.rgb.shape, generator=torch.Generator().manual_seed(0))
    noise = torch.where(reading.known[..., None], reading.rgb, noise.round())
    motion = motion_of(FilledFrames(noise, room().render(PATH).depth), reading, PATH, RoomDepth(FIRST))
    assert motion is not None
    assert motion.notes in ((), (CONTRADICT,))
    assert motion.where.float().mean() < 0.5 * (~reading.known).float().mean()


def test_two_frames_tell_nothing() -> None:
    reading = begun().read(PATH[:2])
    rgb, depth, _ = filmed(PATH[:2])
    assert motion_of(FilledFrames(rgb, depth), reading, PATH[:2], RoomDepth(FIRST)) is None


def test_the_memory_holds_the_room_and_not_the_ball(explored: tuple[SpatialMemory, ExploreState, torch.Tensor]) -> None:
    memory, _, unknown = explored
    rgb, _, ball = filmed(PATH)
    reading = memory.read(PATH)
    of_ball, of_room = ((reading.rgb - truth).abs().mean(-1) for truth in (rgb, room().render(PATH).rgb))
    written = reading.known & unknown & ball & (of_ball < 0.1) & (of_room > 0.15)
    assert written.sum() <= 0.02 * (unknown & ball).sum()


def test_a_film_shows_the_ball_if_asked(explored: tuple[SpatialMemory, ExploreState, torch.Tensor]) -> None:
    memory, state, unknown = explored
    moving = shown_moving(FRAMES, state.windows, state.moving)
    rgb, _, ball = filmed(PATH)
    seen = []
    for frame, part in moving.items():
        here = replace(memory, gaussians=Gaussians.cat([memory.gaussians, part]))
        shown = (unknown & ball)[frame]
        if shown.sum() > 100:
            errors = [float((m.film(PATH[frame])[0][0] - rgb[frame]).abs()[shown].mean()) for m in (memory, here)]
            seen.append(errors)
    plain, kept = torch.tensor(seen).mean(0).tolist()
    assert len(seen) >= 3
    assert kept < 0.5 * plain


def test_a_frame_shows_what_moved_at_the_nearest_moment() -> None:
    def part(moment: float, count: int) -> MovingPart:
        size = (
            torch.zeros(count, 3),
            torch.ones(count, 4),
            torch.zeros(count, 3),
            torch.zeros(count),
            torch.zeros(count, 1, 3),
        )
        return MovingPart(moment, Gaussians(*size))

    windows = [[0.0, 2.0, 4.0], [7.5, 8.0]]
    parts = [part(2.0, 1), part(7.5, 2), part(7.5, 3), part(4.0, 4)]
    found = shown_moving(12, windows, parts)
    assert {frame: len(gaussians) for frame, gaussians in found.items()} == {2: 1, 3: 1, 4: 4, 5: 4, 7: 5}
    assert shown_moving(12, windows, []) == {}
