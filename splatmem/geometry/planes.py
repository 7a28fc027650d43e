"""Planes as pictures show them: inverse depth is linear in a picture on a plane."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

RIDGE = 1e-12
"""Added to the normal matrix: pixels on one line leave a plane's slope across it open."""


def plane_basis(height: int, width: int) -> Float[Tensor, "h w 3"]:
    """What a plane's coefficients are multiplied with at each pixel: column and row in units of the width, and 1. In double
    precision: how a library rounds depends on where its memory lies, and a run is to be repeated exactly."""
    v, u = torch.meshgrid(torch.arange(height) / width, torch.arange(width) / width, indexing="ij")
    return torch.stack([u, v, torch.ones_like(u)], dim=-1).double()


def fit_plane(basis: Float[Tensor, "n 3"], inverse: Float[Tensor, " n"]) -> Float[Tensor, "3"]:
    """Coefficients of the plane that fits inverse depths best (least squares by the normal equations).

    Args:
        basis: of the pixels, as ``plane_basis`` gives it.
        inverse: their inverse z-depth, in double precision.
    """
    normal_matrix = basis.T @ basis + RIDGE * torch.eye(3, dtype=basis.dtype)
    return torch.linalg.solve(normal_matrix, basis.T @ inverse)
