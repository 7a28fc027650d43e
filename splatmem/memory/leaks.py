"""Keeps new Gaussians from showing in earlier views.

Positions in free space are ruled out before pixels are lifted (``splatmem.memory.free_space``). What can still show in an
earlier view are the margins of footprints, at the edge of its picture and along the outlines of objects. How much of a view a
Gaussian covers is the sum of its blending weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.contributions import contributions
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate

LEAK = 0.05  # pixels of known surface that one new Gaussian may cover in an earlier view ...
LEAK_SHARE = 0.02  # ... or this share of its own size there: surfaces are not quite opaque to what lies behind them
TILE = 32  # pixels along a side of the parts of a picture that are looked at
BESIDE = 2 * TILE  # pixels around a picture in which ``near_in_picture`` looks for Gaussians
SHRINKINGS = 2  # times that a leaking Gaussian is halved before it is left out
REMOVALS = 4  # times that those that still leak are left out


@dataclass(frozen=True)
class PartOfPicture:
    """What of a view is looked at: some of its tiles, ``pixels`` ``[1, h, w]``, and the Gaussians in and around them."""

    pixels: Bool[Tensor, "1 h w"]
    gaussians: Gaussians


def near_in_picture(old: Gaussians, added: Gaussians, camera: Cameras) -> PartOfPicture:
    """The tiles of a view in which added Gaussians may show, and which of the old ones lie in them or in tiles beside them."""
    rows, columns = math.ceil(camera.height / TILE) + 2, math.ceil(camera.width / TILE) + 2  # one around the picture

    def tile(gaussians: Gaussians) -> tuple[Int[Tensor, " n"], Bool[Tensor, " n"]]:
        pixels, depth = (values[0] for values in camera.project(gaussians.means))
        column, row = ((pixels / TILE).floor().clamp(-1e6, 1e6) + 1).long().unbind(-1)
        inside = (depth > 0) & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        return torch.where(inside, row * columns + column, 0), inside

    index, inside = tile(added)
    tiles = torch.zeros(rows * columns, dtype=torch.bool, device=index.device)
    tiles[index[inside]] = True
    looked_at = dilate(tiles.view(1, rows, columns), 1)
    index, inside = tile(old)
    around = inside & dilate(looked_at, 1).flatten()[index]
    pixels = looked_at[:, 1:-1, 1:-1].repeat_interleave(TILE, 1).repeat_interleave(TILE, 2)
    return PartOfPicture(pixels[:, : camera.height, : camera.width], old.select(around))


def trim_leaks(
    old: Gaussians,
    added: Gaussians,
    cameras: Cameras,
    known: Bool[Tensor, "v h w"],
    suspected: Bool[Tensor, " n"] | None = None,
) -> Gaussians:
    """``added`` with those Gaussians that show in the views made smaller, or left out where that does not help.

    Args:
        old: the scene so far.
        cameras: the views to protect.
        known: pixels of them that the scene so far shows.
        suspected: which of the added may show there at all; None: any of them.
    """
    device = added.device
    indices = torch.arange(len(added), device=device)
    if suspected is not None:
        indices = indices[suspected.to(device)]
    log_scales, kept = added.log_scales.clone(), torch.ones(len(added), dtype=torch.bool, device=device)
    for attempt in range(SHRINKINGS + REMOVALS):
        tried = added.with_values(log_scales=log_scales).select(indices)
        leaking = _leaking(old, tried, cameras, known)
        if not leaking.any():
            break
        if attempt < SHRINKINGS:  # the thin axis stays: it says how finely the surface was sampled
            log_scales[indices[leaking], :2] -= math.log(2)
        else:  # what they hid in the views may leak then
            kept[indices[leaking]] = False
            indices = indices[~leaking]
    return added if attempt == 0 else added.with_values(log_scales=log_scales).select(kept)


def _leaking(old: Gaussians, added: Gaussians, cameras: Cameras, known: Bool[Tensor, "v h w"]) -> Bool[Tensor, " n"]:
    """Which of the added Gaussians cover too much of the known pixels of some view."""
    scene = Gaussians.cat([old, added])
    covered = contributions(scene, cameras, known.float(), chosen=(len(old), len(scene)))
    return ((covered > LEAK) & (covered > LEAK_SHARE * _alone(added, cameras))).any(0)


def _alone(gaussians: Gaussians, cameras: Cameras) -> Float[Tensor, "v n"]:
    """Pixels that each Gaussian would cover at most if nothing hid it: seen from the front, and only what of it reaches into
    the picture."""
    pixels, depth = cameras.project(gaussians.means)
    radius = cameras.focal.mean(1)[:, None, None] * gaussians.scales[None, :, :2] / depth.clamp_min(1e-12)[..., None]
    size = pixels.new_tensor([cameras.width, cameras.height])
    outside = (torch.maximum(-pixels, pixels - size)).clamp_min(0).norm(dim=-1)
    reaching = torch.erfc(outside / (math.sqrt(2) * radius.amax(-1)).clamp_min(1e-6))
    return 2 * math.pi * radius.prod(-1) * reaching
