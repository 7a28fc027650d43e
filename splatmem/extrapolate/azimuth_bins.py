"""Values for each direction of a full turn, kept in equal bins of azimuth side by side: statistics, smoothing, look-up."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from splatmem.geometry.filters import gaussian_kernel

AZIMUTH_BINS = 180
SMOOTHING = 2.0  # bins, standard deviation
SMOOTHING_REACH = round(3 * SMOOTHING)


def bin_azimuths() -> Float[Tensor, " bins"]:
    """Azimuths of the middles of the bins, in radians from -pi to pi."""
    return (torch.arange(AZIMUTH_BINS) + 0.5) * (2 * math.pi / AZIMUTH_BINS) - math.pi


def bin_of(azimuth: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Index of the bin that holds each azimuth."""
    return ((azimuth + math.pi) / (2 * math.pi) * AZIMUTH_BINS).long().clamp(0, AZIMUTH_BINS - 1)


def interpolate_bins(values: Float[Tensor, " bins"], azimuth: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Values at any azimuths, linearly interpolated between the middles of the bins, around the turn."""
    position = (azimuth + math.pi) / (2 * math.pi) * AZIMUTH_BINS - 0.5
    first, between = position.floor().long(), position - position.floor()
    return values[first % AZIMUTH_BINS] * (1 - between) + values[(first + 1) % AZIMUTH_BINS] * between


def quantile_by_bin(
    values: Float[Tensor, " n"], azimuth: Float[Tensor, " n"], quantile: float, min_count: int
) -> Float[Tensor, " bins"]:
    """A quantile (0..1) of the values at the azimuths of each bin; nan in bins with fewer than ``min_count`` values."""
    bins = bin_of(azimuth)
    order = values.argsort()
    order = order[bins[order].argsort(stable=True)]
    counts = torch.bincount(bins, minlength=AZIMUTH_BINS)
    at = counts.cumsum(0) - counts + (quantile * (counts - 1)).round().long()
    enough = counts >= min_count
    result = torch.full((AZIMUTH_BINS,), math.nan)
    result[enough] = values[order[at[enough]]]
    return result


def smooth_bins(values: Float[Tensor, " bins"]) -> Float[Tensor, " bins"]:
    """The values blurred around the turn by a Gaussian of ``SMOOTHING`` bins."""
    around = F.pad(values[None, None], (SMOOTHING_REACH, SMOOTHING_REACH), mode="circular")
    return F.conv1d(around, gaussian_kernel(SMOOTHING, SMOOTHING_REACH)[None, None])[0, 0]


def max_over_reach(values: Float[Tensor, " bins"]) -> Float[Tensor, " bins"]:
    """For each bin the largest value within ``SMOOTHING_REACH`` bins, so that smoothing afterwards lowers no peak."""
    around = F.pad(values[None], (SMOOTHING_REACH, SMOOTHING_REACH), mode="circular")
    return F.max_pool1d(around, 2 * SMOOTHING_REACH + 1, 1)[0]
