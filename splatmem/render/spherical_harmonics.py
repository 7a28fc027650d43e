"""View-dependent colour from real spherical harmonics."""

# pyright: reportOperatorIssue=false, reportOptionalOperand=false, reportArgumentType=false
from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

# Constants of the real basis with the Condon-Shortley phase, as in 3DGS (Kerbl et al. 2023) and gsplat; formulas of
# Sloan, "Efficient Spherical Harmonic Evaluation" (JCGT 2013).
_C1 = 0.48860251190292
_C2 = (1.092548430592079, 0.9461746957575601, 0.3153915652525201, 0.5462742152960395)
_C3 = (
    0.5900435899266435,
    2.890611442640554,
    0.4570457994644658,
    0.3731763325901154,
    1.445305721320277,
)
MAX_DEGREE = 3
SH_C0 = 0.28209479177387814  # the constant real spherical harmonic, sqrt(1 / (4 pi))


def sh_basis(directions: Float[Tensor, "*n 3"], degree: int) -> Float[Tensor, "*n k"]:
    """Values of the ``(degree + 1)**2`` basis functions for unit ``directions``, degree 0 to 3."""
    if not 0 <= degree <= MAX_DEGREE:
        raise NotImplementedError(f"sh_degree must lie in 0..{MAX_DEGREE}, got {degree}")
    x, y, z = directions.unbind(-1)
    basis = [torch.full_like(x, SH_C0)]
    if degree >= 1:
        basis += [-_C1 * y, _C1 * z, -_C1 * x]
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        basis += [
            _C2[0] * x * y,
            -_C2[0] * y * z,
            _C2[1] * zz - _C2[2],
            -_C2[0] * x * z,
            _C2[3] * (xx - yy),
        ]
    if degree >= 3:
        basis += [
            -_C3[0] * y * (3 * xx - yy),
            _C3[1] * x * y * z,
            -_C3[2] * y * (5 * zz - 1),
            _C3[3] * z * (5 * zz - 3),
            -_C3[2] * x * (5 * zz - 1),
            _C3[4] * z * (xx - yy),
            -_C3[0] * x * (xx - 3 * yy),
        ]
    return torch.stack(basis, dim=-1)


def view_colors(
    means: Float[Tensor, "n 3"],
    sh: Float[Tensor, "n k 3"] | Float[Tensor, "v n k 3"],
    world_to_cam: Float[Tensor, "v 4 4"],
    degree: int | None = None,
) -> Float[Tensor, "n 3"] | Float[Tensor, "v n 3"]:
    """Colours ``max(0, 0.5 + sum_k basis_k sh_k)`` seen from each camera; the clamp is that of 3DGS.

    Without view dependence (degree 0, ``sh`` without a view axis) the result has no view axis. ``degree`` may be lower
    than what ``sh`` holds; None takes all of it.
    """
    if degree is None:
        degree = round(sh.shape[-2] ** 0.5) - 1
    bands = (degree + 1) ** 2
    if bands > sh.shape[-2]:
        raise ValueError(f"sh_degree {degree} needs {bands} coefficients per Gaussian, got {sh.shape[-2]}")
    if degree == 0:
        return (0.5 + SH_C0 * sh[..., 0, :]).clamp_min(0.0)
    rotation, translation = world_to_cam[:, :3, :3], world_to_cam[:, :3, 3]
    centers = -(rotation.transpose(1, 2) @ translation[..., None])[..., 0]
    directions = torch.nn.functional.normalize(means[None] - centers[:, None], dim=-1)
    basis = sh_basis(directions, degree)
    return (0.5 + (basis[..., None] * sh[..., :bands, :]).sum(dim=-2)).clamp_min(0.0)
