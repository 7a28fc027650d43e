"""Which way is down in a photo: the direction in which its upright edges meet.

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

PITCH_LIMIT, ROLL_LIMIT = 40, 15  # degrees that are tried, in steps of one
PITCH_SPREAD, ROLL_SPREAD = 14.0, 4.0  # standard deviations of how people hold a camera, degrees
EDGE_SPREAD = 2.0  # degrees by which the image of a vertical edge may be off
UPRIGHT = 2.2  # an edge counts whose gradient is this much stronger across than along the picture's height
STRONGEST = 0.2  # share of the pixels that are looked at
MOST_EDGES = 1500
WIDTH = 384  # pictures are looked at in this width
EDGE_BLUR = 2.0  # pixels; finer edges show the stairs of the pixels, which are all upright


def estimate_down(rgb: Float[Tensor, "h w 3"], camera: Cameras) -> Float[Tensor, "3"]:
    """Unit vector of gravity in the camera's axes; straight down the picture where nothing speaks for more.

    Args:
        rgb: the photo, 0..1.
        camera: the one camera that took it.
    """
    height = max(8, round(WIDTH * camera.height / camera.width))
    small = F.interpolate(rgb.permute(2, 0, 1)[None], size=(height, WIDTH), mode="area")
    normals, weights = _upright_edges(small[0].mean(0), camera.resized(WIDTH, height))
    directions, prior = _candidates()
    if not len(normals):
        return directions[int(prior.argmax())]
    off = (normals @ directions.T) / math.sin(math.radians(EDGE_SPREAD))
    votes = (weights[:, None] * torch.exp(-0.5 * off.square())).sum(0) / weights.sum()
    return directions[int((votes.square() * prior).argmax())]


def _candidates() -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
    """Directions of gravity by pitch and roll, and how likely each is before any picture."""
    pitch = torch.arange(-PITCH_LIMIT, PITCH_LIMIT + 1.0)
    roll = torch.arange(-ROLL_LIMIT, ROLL_LIMIT + 1.0)
    pitch, roll = torch.cartesian_prod(pitch, roll).unbind(-1)
    prior = torch.exp(-0.5 * ((pitch / PITCH_SPREAD).square() + (roll / ROLL_SPREAD).square()))
    p, r = pitch.deg2rad(), roll.deg2rad()
    return torch.stack([r.sin(), r.cos() * p.cos(), r.cos() * p.sin()], dim=-1), prior


def _blurred(grey: Float[Tensor, "h w"], sigma: float) -> Float[Tensor, "h w"]:
    """By a Gaussian, cut off at four standard deviations; importing a library for this takes longer than all the rest."""
    radius = round(4 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma).square())
    kernel = (kernel / kernel.sum()).view(1, 1, -1)
    for _ in range(2):  # one axis after the other
        padded = F.pad(grey[:, None], (radius, radius), mode="replicate")
        grey = F.conv1d(padded, kernel)[:, 0].T
    return grey


def _upright_edges(grey: Float[Tensor, "h w"], camera: Cameras) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
    """Normals of the planes through the camera and the steep edges, in the camera's axes, and the edges' weights."""
    along, across = torch.gradient(_blurred(grey, EDGE_BLUR))
    strength = torch.hypot(across, along)
    threshold = strength.flatten().quantile(1 - STRONGEST).clamp_min(1e-4)
    steep = (across.abs() > UPRIGHT * along.abs()) & (strength > threshold)
    steep[:3] = steep[-3:] = False  # the picture's own rim is upright too
    steep[:, :3] = steep[:, -3:] = False
    row, column = torch.nonzero(steep, as_tuple=True)
    if len(row) > MOST_EDGES:
        kept = torch.linspace(0, len(row) - 1, MOST_EDGES).long()
        row, column = row[kept], column[kept]
    tangent = torch.stack([-along, across, torch.zeros_like(along)], dim=-1)[row, column]
    rays = camera.pixel_rays()[0, row, column]
    normals = F.normalize(torch.linalg.cross(rays, tangent, dim=-1), dim=-1)
    weights = strength[row, column]
    return normals, weights.clamp(max=weights.quantile(0.9).item()) if len(weights) else weights
