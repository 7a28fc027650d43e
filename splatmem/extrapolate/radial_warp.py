"""Gaussians around a camera, moved in or out from its vertical axis by a factor for each direction of a turn."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from splatmem.extrapolate.room_layout import CEILING, FLOOR, RoomLayout
from splatmem.extrapolate.view_copies import AzimuthRange
from splatmem.gaussians import Gaussians

PARTS = 180  # of a turn, side by side
SMOOTHING = 2.0  # parts, standard deviation
SMOOTHING_REACH = round(3 * SMOOTHING)
UPRIGHT_SHARE = 0.5  # of the eye's height above a floor: what is higher keeps its direction


def part_azimuths() -> Float[Tensor, " parts"]:
    """Of the parts' middles."""
    return (torch.arange(PARTS) + 0.5) * (2 * math.pi / PARTS) - math.pi


def part_of(azimuth: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
    return ((azimuth + math.pi) / (2 * math.pi) * PARTS).long().clamp(0, PARTS - 1)


def at_azimuths(values: Float[Tensor, " parts"], azimuth: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The parts' values in any direction, linearly between their middles."""
    place = (azimuth + math.pi) / (2 * math.pi) * PARTS - 0.5
    first, between = place.floor().long(), place - place.floor()
    return values[first % PARTS] * (1 - between) + values[(first + 1) % PARTS] * between


def quantile_by_part(
    values: Float[Tensor, " n"], azimuth: Float[Tensor, " n"], quantile: float, least: int
) -> Float[Tensor, " parts"]:
    """A quantile of the values in each part of the turn; nan where there are fewer than ``least``."""
    part = part_of(azimuth)
    order = values.argsort()
    order = order[part[order].argsort(stable=True)]
    counts = torch.bincount(part, minlength=PARTS)
    at = counts.cumsum(0) - counts + (quantile * (counts - 1)).round().long()
    enough = counts >= least
    result = torch.full((PARTS,), math.nan)
    result[enough] = values[order[at[enough]]]
    return result


def smoothed(values: Float[Tensor, " parts"]) -> Float[Tensor, " parts"]:
    """By a Gaussian, around the turn."""
    kernel = torch.exp(-0.5 * (torch.arange(-SMOOTHING_REACH, SMOOTHING_REACH + 1) / SMOOTHING).square())
    around = F.pad(values[None, None], (SMOOTHING_REACH, SMOOTHING_REACH), mode="circular")
    return F.conv1d(around, (kernel / kernel.sum())[None, None])[0, 0]


def radial_warp(gaussians: Gaussians, view_range: AzimuthRange, room: RoomLayout, log_factor: Float[Tensor, " n"]) -> Gaussians:
    """Each Gaussian moved by its own factor away from the camera's vertical axis.

    Its height above or below the camera changes by the same factor, so it keeps its direction; near a floor or a ceiling that
    was seen it changes less, so that these stay level and what stands on them stands upright.
    """
    height, eye = gaussians.means @ room.axes[1], view_range.center @ room.axes[1]
    free = torch.ones_like(height)
    for side in (CEILING, FLOOR):
        if room.seen[side]:
            plane = room.bounds[side]
            free = torch.minimum(free, ((plane - height) / (plane - eye) / UPRIGHT_SHARE).clamp(0, 1))
    outwards, upwards = log_factor.exp(), (free * log_factor).exp()
    factors = torch.stack([outwards, upwards, outwards], dim=1)
    return replace(
        gaussians,
        means=view_range.center + ((gaussians.means - view_range.center) @ view_range.axes.T * factors) @ view_range.axes,
        log_scales=gaussians.log_scales + torch.maximum(outwards, upwards).log()[:, None],
    )
