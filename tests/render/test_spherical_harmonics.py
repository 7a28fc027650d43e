"""The torch twin of the kernels' view-dependent colours."""

from __future__ import annotations

import pytest
import torch
from oracle import random_cameras
from splatmem.render.spherical_harmonics import view_colors


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("per_view", [False, True])
def test_agrees_with_gsplat(degree: int, per_view: bool) -> None:
    from gsplat.cuda._torch_impl import _spherical_harmonics

    generator = torch.Generator().manual_seed(degree)
    means = torch.randn(80, 3, generator=generator)
    coefficients = torch.randn(*([2] if per_view else []), 80, 16, 3, generator=generator)
    viewmats, _ = random_cameras(2, 24, 24)
    directions = means[None] - torch.linalg.inv(viewmats)[:, None, :3, 3]
    expected = (_spherical_harmonics(degree, directions, coefficients.expand(2, -1, -1, -1)) + 0.5).clamp_min(0)
    colors = view_colors(means, coefficients, viewmats, degree)
    torch.testing.assert_close(colors.expand(2, -1, -1), expected, rtol=1e-5, atol=1e-5)
