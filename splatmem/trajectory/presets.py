"""Camera paths: presets around the photo's camera, and smooth interpolation between keyframes.

The world is the memory's: the photo was taken from the origin along +z, y points down, so "up" is -y. A preset begins at the
photo's camera. On a closed path frame ``i`` of ``n`` is at phase ``i / n``: frame ``n`` would be frame 0 again, so that the
film loops without a doubled frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import look_at
from splatmem.trajectory.names import PRESET_NAMES
from splatmem.trajectory.round_subject import Extent, Round, plan_round

TURN_RADIUS = 0.04  # of the scene's scale: enough for parallax, and it fits into any room
ARC_DEGREES = 30.0  # how far the arc swings to either side where there is room
SPIRAL_RADIUS = 0.12  # of the scene's scale
SPIRAL_ROUNDS = 2
DOLLY_LENGTH = 0.5  # of the way to the subject
SMALLEST_SHRINK = 0.02
NEARLY_ALL = 0.98  # share of what was asked for from which a path counts as what was asked for
SAMPLES = 192  # positions at which a whole path is tried, however few its frames

FreeSpace = Callable[[Float[Tensor, "p 3"]], Bool[Tensor, " p"]]
Curve = Callable[[Float[Tensor, " n"], float, float], Float[Tensor, "n 4 4"]]  # phase, scale, subject distance -> cam-to-world


@dataclass(frozen=True)
class Preset:
    """A family of paths.

    Attributes:
        curve: cam-to-world (float64) at phases 0..1, given the scene's scale and the subject's distance.
        closed: whether phase 1 is phase 0.
        extent: the word for its size in reports.
        level: whether it keeps to the scene's horizon however the photo's camera was tilted, or follows that camera's own axes.
    """

    curve: Curve
    closed: bool
    extent: str
    level: bool


@dataclass(frozen=True)
class PathResult:
    """A path that fits into the scene.

    Attributes:
        cameras: one per frame; the first is the identity.
        shrink: the factor by which the positions were drawn towards the first camera, 1 if they were not, 0 if there is no
            room to move at all.
        note: one sentence for the report where the path is not what was asked for, else empty.
        closed: whether the frame after the last would be the first again.
        extent: how far a path round a subject goes round it; None for other paths.
    """

    cameras: Cameras
    shrink: float
    note: str
    closed: bool
    extent: Extent | None = None


def make_path(
    name: str,
    frames: int,
    *,
    scale: float,
    subject_distance: float,
    fov_x_degrees: float,
    width: int,
    height: int,
    is_free: FreeSpace | None = None,
    is_barely_free: FreeSpace | None = None,
    borne: tuple[float, float] | None = None,
    down: Float[Tensor, "3"] | None = None,
    whole: bool = True,
) -> PathResult:
    """The cameras of a preset, in free space.

    A path round the subject goes round as far as there is room, at a smaller radius where it must. The others are drawn in
    towards the first camera until all their positions are free.

    Args:
        name: one of ``PRESET_NAMES``.
        frames: number of cameras, at least 2.
        scale: of the scene: the photo's median depth.
        subject_distance: depth of what stands in the photo's middle.
        fov_x_degrees, width, height: of the cameras.
        is_free: tells which positions lie in free space, with a margin; None: everywhere is free.
        is_barely_free: tells the same with a smaller margin, which a path round the subject keeps if that makes it whole.
        borne: radians to the right and to the left beyond which a swing that was not asked to be a circle does not go.
        down: direction of gravity in the world; None: the first camera was held upright. Level paths turn about it, and the
            camera keeps the tilt that it had at first.
        whole: whether a path round the subject may go all the way round.

    Raises:
        ValueError: unknown name, or numbers out of range.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown path {name!r}: expected one of {', '.join(PRESET_NAMES)}")
    if frames < 2:
        raise ValueError(f"a path needs at least 2 frames, got {frames}")
    for label, value in (("scale", scale), ("subject distance", subject_distance)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"the {label} of a path must be a positive number, got {value}")
    preset = PRESETS[name]
    steps = torch.arange(frames, dtype=torch.float64)
    upright = _upright_axes(down) if preset.level else torch.eye(4, dtype=torch.float64)

    if name in SWINGS:
        return _round_path(
            name, steps / frames, subject_distance, upright, fov_x_degrees, (width, height), is_free, is_barely_free, borne,
            whole,
        )  # fmt: skip

    def curve(phase: Tensor) -> Tensor:
        # In upright axes the first camera is tilted; the level curve carries that tilt along.
        level_distance = subject_distance * upright[2, 2].item()
        return upright @ preset.curve(phase, scale, level_distance) @ upright.T

    cam_to_world = curve(steps / (frames if preset.closed else frames - 1))
    shrink = 1.0
    if is_free is not None:
        dense = curve(torch.linspace(0, 1, SAMPLES, dtype=torch.float64))
        shrink = _largest_free_factor(torch.cat([cam_to_world[:, :3, 3], dense[:, :3, 3]]), is_free)
    cam_to_world[:, :3, 3] *= shrink
    cameras = Cameras.from_fov(cam_to_world, fov_x_degrees, width, height)
    return PathResult(cameras, shrink, _note(name, preset.extent, shrink), preset.closed)


def _round_path(
    name: str,
    phase: Float[Tensor, " n"],
    subject_distance: float,
    upright: Float[Tensor, "4 4"],
    fov_x_degrees: float,
    size: tuple[int, int],
    is_free: FreeSpace | None,
    is_barely_free: FreeSpace | None,
    borne: tuple[float, float] | None,
    whole: bool,
) -> PathResult:
    # In upright axes the first camera is tilted; the level curve carries that tilt along.
    distance = subject_distance * upright[2, 2].item()
    swing = SWINGS[name]

    def poses(angle: Tensor, share: Tensor) -> Tensor:
        return upright @ _around_subject(angle, distance, share) @ upright.T

    def position(angle: Tensor, share: Tensor) -> Tensor:
        return poses(angle, share)[:, :3, 3]

    free = is_free or (lambda points: torch.ones(len(points), dtype=torch.bool))
    plan = plan_round(position, free, swing=swing, borne=None if swing is None else borne, whole=whole)
    if is_barely_free is not None and not plan.is_full and swing is None and whole:
        tight = plan_round(position, is_barely_free, swing=swing)
        plan = tight if tight.is_full else plan
    angles = plan.angles(phase)
    cameras = Cameras.from_fov(poses(angles, plan.radius(angles)), fov_x_degrees, *size)
    extent = plan.extent()
    return PathResult(cameras, extent.mean_radius if plan.reach else 0.0, _round_note(name, plan, extent), True, extent)


def _round_note(name: str, plan: Round, extent: Extent) -> str:
    if not plan.reach:
        return f"{name} stays in one place: there is no free space around the first camera"
    radius = f"at {100 * extent.min_radius:.0f} to 100 % of the radius (mean {100 * extent.mean_radius:.0f} %)"
    if extent.min_radius > NEARLY_ALL:
        radius = "at the whole radius"
    if plan.is_full:
        return "" if extent.min_radius > NEARLY_ALL else f"{name}: a full circle round the subject, {radius}"
    if extent.degrees > NEARLY_ALL * extent.asked_degrees:
        return "" if extent.min_radius > NEARLY_ALL else f"{name}: {radius}"
    right, left = (math.degrees(plan.reach + way * plan.centre) for way in (1, -1))
    return (
        f"{name}: {extent.asked_degrees:.0f} degrees round the subject were asked for, and {extent.degrees:.0f} were made, "
        f"{radius}: a swing of {right:.0f} degrees to the right and {left:.0f} to the left, since {plan.hindrance}"
    )


def _upright_axes(down: Float[Tensor, "3"] | None) -> Float[Tensor, "4 4"]:
    """Rotation from axes with gravity along y, and the first camera looking along z seen from above, to the world."""
    axes = torch.eye(4, dtype=torch.float64)
    if down is not None:
        y = torch.nn.functional.normalize(down.double(), dim=0)
        z = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
        z = torch.nn.functional.normalize(z - y * y[2], dim=0)
        axes[:3, :3] = torch.stack([torch.linalg.cross(y, z), y, z], dim=1)
    return axes


def _note(name: str, extent: str, shrink: float) -> str:
    if shrink == 1.0:
        return ""
    if shrink == 0.0:
        return f"{name} stays in one place: there is no free space around the first camera"
    return f"{name} drawn in to {100 * shrink:.0f} % of its {extent}: part of it lay behind or too near to a surface"


def _largest_free_factor(positions: Float[Tensor, "p 3"], is_free: FreeSpace) -> float:
    """The largest factor in [0.02, 1] that brings all positions into free space, else 0.

    Free space need not be convex, so factors are tried from the top on a geometric grid before the last step is bisected.
    """

    def fits(factor: float) -> bool:
        return bool(is_free((positions * factor).float()).all())

    factors = np.geomspace(1.0, SMALLEST_SHRINK, 25).tolist()
    free = next((i for i, factor in enumerate(factors) if fits(factor)), None)
    if free is None:
        return 0.0
    if free == 0:
        return 1.0
    low, high = factors[free], factors[free - 1]
    for _ in range(6):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


# ---------------------------------------------------------------------------------------------------- presets


def _turn(phase: Tensor, scale: float, subject_distance: float) -> Tensor:
    """A full turn to the right on a small circle behind the first camera, looking outward, as a head turns."""
    angle = 2 * torch.pi * phase
    outward = torch.stack([angle.sin(), torch.zeros_like(angle), angle.cos()], dim=-1)
    position = TURN_RADIUS * scale * (outward - torch.tensor([0.0, 0.0, 1.0]).to(outward))
    return look_at(position, position + outward)


def _around_subject(angle: Tensor, distance: float, share: Tensor) -> Tensor:
    """Poses that look at the subject from directions, at shares of the distance."""
    subject = torch.tensor([[0.0, 0.0, distance]]).to(angle)
    outward = torch.stack([angle.sin(), torch.zeros_like(angle), -angle.cos()], dim=-1)
    return look_at(subject + distance * share[:, None] * outward, subject.expand(len(angle), 3))


def _orbit(phase: Tensor, scale: float, subject_distance: float) -> Tensor:
    """A full circle around the subject, looking at it."""
    return _around_subject(2 * torch.pi * phase, subject_distance, torch.ones_like(phase))


def _arc(phase: Tensor, scale: float, subject_distance: float) -> Tensor:
    """Swings to one side, back, to the other side and back, looking at the subject."""
    angle = math.radians(ARC_DEGREES) * (2 * torch.pi * phase).sin()
    return _around_subject(angle, subject_distance, torch.ones_like(phase))


def _spiral(phase: Tensor, scale: float, subject_distance: float) -> Tensor:
    """Two rounds that widen from the first camera, go forward, and narrow back to it, looking at the subject."""
    radius = SPIRAL_RADIUS * min(scale, subject_distance) * (torch.pi * phase).sin().square()
    angle = 2 * torch.pi * SPIRAL_ROUNDS * phase
    position = torch.stack([radius * angle.sin(), 0.5 * radius * angle.cos(), radius], dim=-1)
    return look_at(position, torch.tensor([[0.0, 0.0, subject_distance]]).to(phase).expand(len(phase), 3))


def _dolly(phase: Tensor, scale: float, subject_distance: float) -> Tensor:
    """Straight ahead to half the subject's distance, starting and stopping gently."""
    poses = torch.eye(4, dtype=phase.dtype).repeat(len(phase), 1, 1)
    poses[:, 2, 3] = DOLLY_LENGTH * subject_distance * phase.square() * (3 - 2 * phase)
    return poses


SWINGS: dict[str, float | None] = {"orbit": None, "arc": math.radians(ARC_DEGREES)}
"""Paths round the subject: radians to either side; None for a full circle."""

PRESETS = {
    "turn": Preset(_turn, closed=True, extent="radius", level=True),
    "orbit": Preset(_orbit, closed=True, extent="radius", level=True),
    "arc": Preset(_arc, closed=True, extent="width", level=True),
    "spiral": Preset(_spiral, closed=True, extent="radius", level=False),
    "dolly": Preset(_dolly, closed=False, extent="length", level=False),
}
