"""Smooth curves through keyframes: of poses, and of values such as intrinsics."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.poses import rigid_from

WRAPPED_KEYS = 12  # an open spline forgets its ends by a factor 0.27 per key: 1e-7 after these


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
    from scipy.spatial.transform import Rotation, RotationSpline

    keys = len(cam_to_world)
    positions = interpolate_values(cam_to_world[:, :3, 3].double(), frames, closed)
    wrap = WRAPPED_KEYS if closed else 0
    indices = np.arange(-wrap, keys + wrap)
    rotations = Rotation.from_matrix(cam_to_world[:, :3, :3].double().cpu().numpy())[indices % keys]  # type: ignore[arg-type]
    turned = RotationSpline(indices.astype(float), rotations)(_key_times(keys, frames, closed))
    return rigid_from(torch.from_numpy(turned.as_matrix().copy()), positions).to(cam_to_world)


def interpolate_values(values: Float[Tensor, "k d"], frames: int, closed: bool = False) -> Float[Tensor, "frames d"]:
    """Values on a cubic spline through ``values`` (natural ends, or periodic); timing as in ``interpolate_keyframes``."""
    from scipy.interpolate import CubicSpline

    keys = len(values)
    times = _key_times(keys, frames, closed)
    knots = values.double().cpu().numpy()
    if closed:
        spline = CubicSpline(np.arange(keys + 1), np.concatenate([knots, knots[:1]]), bc_type="periodic")
    else:
        spline = CubicSpline(np.arange(keys), knots, bc_type="natural")
    return torch.from_numpy(spline(times)).to(values)


def _key_times(keys: int, frames: int, closed: bool) -> np.ndarray:
    if keys < 2 or frames < 2:
        raise ValueError(f"interpolation needs at least 2 keyframes and 2 frames, got {keys} and {frames}")
    if closed:
        return np.arange(frames) * (keys / frames)
    return np.linspace(0.0, keys - 1.0, frames)
