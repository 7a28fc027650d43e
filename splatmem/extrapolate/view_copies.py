"""Copies of what one view shows, as segments of the turn around its camera.

Surfaces are copied, not pictures: the copies have the scene's parallax. Since a mirrored copy begins as the view ends, in
    colour and in depth, nothing is cut off at the picture's edge: a table there becomes a wider table. Each point is turned
    about the vertical axis through the camera, or reflected across a vertical plane through it (``AzimuthRange.transforms``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from splatmem.extrapolate.azimuth import AzimuthRange, AzimuthSegment
from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import rgb_to_sh
from splatmem.geometry.rotations import rotations_to_quats


def copy_points(
    points: Float[Tensor, "n 3"], view_range: AzimuthRange, segments: Sequence[AzimuthSegment]
) -> tuple[Float[Tensor, "m 3"], Int[Tensor, " m"]]:
    """Copies of world points in all segments that contain them.

    Returns:
        Positions of the copies, and the index of the point that each is a copy of.
    """
    azimuth, copies, sources = view_range.azimuth(points), [], []
    for segment in segments:
        source = torch.nonzero(segment.contains(azimuth))[:, 0]
        transforms = view_range.transforms(azimuth[source], segment)
        copies.append(torch.einsum("nij,nj->ni", transforms, points[source] - view_range.center) + view_range.center)
        sources.append(source)
    return torch.cat(copies), torch.cat(sources)


def copy_gaussians(gaussians: Gaussians, view_range: AzimuthRange, segments: Sequence[AzimuthSegment]) -> Gaussians:
    """Copies of Gaussians in all segments that contain them, wider where a segment is stretched."""
    azimuth, copies = view_range.azimuth(gaussians.means), []
    for segment in segments:
        inside = segment.contains(azimuth)
        transforms = view_range.transforms(azimuth[inside], segment)
        copy = transform_each(gaussians.select(inside), view_range.center, transforms)
        widened = copy.log_scales + math.log(max(1.0, segment.stretch)) * torch.tensor([1.0, 1.0, 0.0])
        copies.append(replace(copy, log_scales=widened))
    return Gaussians.cat(copies)


def transform_each(gaussians: Gaussians, center: Float[Tensor, "3"], transforms: Float[Tensor, "n 3 3"]) -> Gaussians:
    """Each Gaussian turned about ``center``, or reflected across a plane through it, by its own orthogonal matrix.

    The colours lose their dependence on the direction and are clamped to 0..1: refinement may have found colours outside of
    that range for the one view that it fits, and from elsewhere they would show as specks.
    """
    turned = transforms @ gaussians.rotations
    # A reflection is no rotation. With local x reversed it is one again, and the Gaussian is the same.
    turned[:, :, 0] *= torch.linalg.det(transforms).sign()[:, None]
    return replace(
        gaussians,
        means=torch.einsum("nij,nj->ni", transforms, gaussians.means - center) + center,
        quats=rotations_to_quats(turned),
        sh=rgb_to_sh(gaussians.rgb.clamp(0, 1)),
    )
