"""Smooth curves through keyframes: of poses, and of values such as intrinsics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.poses import rigid_from

Times = Sequence[float] | np.ndarray
WRAPPED_KEYS = 12  # the influence of an open spline's ends falls by 0.27 per key: to 1e-7 over these


def interpolate_keyframes(
    cam_to_world: Float[Tensor, "k 4 4"], frames: int, closed: bool = False
) -> Float[Tensor, "frames 4 4"]:
    """Poses on a twice differentiable curve through keyframes, which follow each other in equal times.

    Positions lie on a cubic spline, rotations on its counterpart on the sphere (scipy's ``RotationSpline``), so that linear
    and angular velocity and acceleration are continuous, on a closed path across its seam too.

    Args:
        cam_to_world: rigid keyframes, at least two.
        frames: number of poses, at least 2. An open path ends on the last keyframe; a closed one returns to the first,
            which is not repeated.
        closed: whether the last keyframe is followed by the first.
    """
    keys = len(cam_to_world)
    return poses_at(cam_to_world, np.arange(keys), _key_times(keys, frames, closed), keys if closed else None)


def poses_at(
    cam_to_world: Float[Tensor, "k 4 4"], knots: Times, times: Times, period: float | None = None
) -> Float[Tensor, "t 4 4"]:
    """Poses at any times on the curve of ``interpolate_keyframes``, through keyframes at times of their own.

    Args:
        knots: times of the keyframes, increasing.
        times: for which poses are wanted.
        period: of a closed path: from the first keyframe until it is reached again; None for an open one.
    """
    from scipy.spatial.transform import Rotation, RotationSpline

    keys = len(cam_to_world)
    positions = values_at(cam_to_world[:, :3, 3].double(), knots, times, period)
    wrap = 0 if period is None else WRAPPED_KEYS
    indices = np.arange(-wrap, keys + wrap)
    at = np.asarray(knots, float)[indices % keys] + (0.0 if period is None else period * (indices // keys))
    rotations = Rotation.from_matrix(cam_to_world[:, :3, :3].double().cpu().numpy())[indices % keys]  # type: ignore[arg-type]
    turned = RotationSpline(at, rotations)(np.asarray(times, float))
    return rigid_from(torch.from_numpy(turned.as_matrix().copy()), positions).to(cam_to_world)


def interpolate_values(values: Float[Tensor, "k d"], frames: int, closed: bool = False) -> Float[Tensor, "frames d"]:
    """Values on a cubic spline through ``values`` (natural ends, or periodic); timing as in ``interpolate_keyframes``."""
    keys = len(values)
    return values_at(values, np.arange(keys), _key_times(keys, frames, closed), keys if closed else None)


def values_at(values: Float[Tensor, "k d"], knots: Times, times: Times, period: float | None = None) -> Float[Tensor, "t d"]:
    """Values at any times on the curve of ``interpolate_values``; for the arguments see ``poses_at``."""
    from scipy.interpolate import CubicSpline

    at, through = np.asarray(knots, float), values.double().cpu().numpy()
    if period is None:
        spline = CubicSpline(at, through, bc_type="natural")
    else:
        spline = CubicSpline(np.append(at, at[0] + period), np.concatenate([through, through[:1]]), bc_type="periodic")
    return torch.from_numpy(spline(np.asarray(times, float))).to(values)


def _key_times(keys: int, frames: int, closed: bool) -> np.ndarray:
    if keys < 2 or frames < 2:
        raise ValueError(f"interpolation needs at least 2 keyframes and 2 frames, got {keys} and {frames}")
    if closed:
        return np.arange(frames) * (keys / frames)
    return np.linspace(0.0, keys - 1.0, frames)
