"""Estimates the direction of gravity in a photo: the direction in which its vertical edges meet.

Edges of walls, doors, furniture and trees are vertical in the world, so the planes through the camera and such edges all
contain the direction of gravity (vertical vanishing point; Coughlan & Yuille 1999 vote over orientations in the same manner).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import gaussian_blur
from splatmem.geometry.sampling import evenly_spread

PITCH_LIMIT, ROLL_LIMIT = 40, 15  # degrees that are tried, in steps of one
PITCH_SPREAD, ROLL_SPREAD = 14.0, 4.0  # standard deviations of how people hold a camera, degrees
EDGE_SPREAD = 2.0  # degrees by which the image of a vertical edge may be off
UPRIGHT = 2.2  # edges count if their horizontal gradient is this many times the vertical one
STRONGEST = 0.2  # share of the pixels that may count as edges, those of the strongest gradients
SCANT = 0.02  # share of all edges, by their strength, from which on upright ones tell more than how cameras are held
MAX_EDGES = 1500
EDGE_PICTURE_WIDTH = 384  # edges are found in the picture reduced to this width
EDGE_BLUR = 2.0  # pixels; less would leave the staircases of slanted edges, whose steps are all vertical


def estimate_down(rgb: Float[Tensor, "h w 3"], camera: Cameras) -> Float[Tensor, "3"]:
    """Unit vector of gravity in the camera's axes; about straight down the picture where it shows no vertical edges.

    Args:
        rgb: the photo, 0..1.
        camera: the one camera that took it.
    """
    height = max(8, round(EDGE_PICTURE_WIDTH * camera.height / camera.width))
    small = F.interpolate(rgb.permute(2, 0, 1)[None], size=(height, EDGE_PICTURE_WIDTH), mode="area")
    normals, weights, share = _upright_edges(small[0].mean(0), camera.resized(EDGE_PICTURE_WIDTH, height))
    directions, prior = _candidates()
    if not len(normals):
        return directions[int(prior.argmax())]
    off = (normals @ directions.T) / math.sin(math.radians(EDGE_SPREAD))
    votes = share * (weights[:, None] * torch.exp(-0.5 * off.square())).sum(0) / weights.sum()
    # A few upright edges by chance, such as those of a shore, must not tilt a picture that shows no others.
    return directions[int(((votes + SCANT).square() * prior).argmax())]


def down_in_world(rgb: Float[Tensor, "h w 3"], camera: Cameras) -> Float[Tensor, "3"]:
    """``estimate_down`` in the world's axes."""
    return estimate_down(rgb, camera) @ camera.world_to_cam[0, :3, :3]


def _candidates() -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
    """Candidate directions of gravity on a grid of pitch and roll, and the prior weight of each."""
    pitch = torch.arange(-PITCH_LIMIT, PITCH_LIMIT + 1.0)
    roll = torch.arange(-ROLL_LIMIT, ROLL_LIMIT + 1.0)
    pitch, roll = torch.cartesian_prod(pitch, roll).unbind(-1)
    prior = torch.exp(-0.5 * ((pitch / PITCH_SPREAD).square() + (roll / ROLL_SPREAD).square()))
    p, r = pitch.deg2rad(), roll.deg2rad()
    return torch.stack([r.sin(), r.cos() * p.cos(), r.cos() * p.sin()], dim=-1), prior


def _upright_edges(
    grey: Float[Tensor, "h w"], camera: Cameras
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"], Float[Tensor, ""]]:
    """Normals of the planes through the camera and the steep edges, in the camera's axes, the edges' weights, and their share
    of all edges by strength."""
    along, across = torch.gradient(gaussian_blur(grey, EDGE_BLUR))
    strength = torch.hypot(across, along)
    threshold = strength.flatten().quantile(1 - STRONGEST).clamp_min(1e-4)
    edges = strength > threshold
    steep = (across.abs() > UPRIGHT * along.abs()) & edges
    steep[:3] = steep[-3:] = False  # the picture's own border is vertical too
    steep[:, :3] = steep[:, -3:] = False
    share = (strength * steep).sum() / (strength * edges).sum().clamp_min(1e-9)
    row, column = torch.nonzero(steep, as_tuple=True)
    if len(row) > MAX_EDGES:
        kept = evenly_spread(len(row), MAX_EDGES)
        row, column = row[kept], column[kept]
    tangent = torch.stack([-along, across, torch.zeros_like(along)], dim=-1)[row, column]
    rays = camera.pixel_rays()[0, row, column]
    normals = F.normalize(torch.linalg.cross(rays, tangent, dim=-1), dim=-1)
    weights = strength[row, column]
    return normals, weights.clamp(max=weights.quantile(0.9).item()) if len(weights) else weights, share
