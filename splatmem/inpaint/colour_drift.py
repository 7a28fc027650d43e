"""Takes back the drift of a model's colours: what it made of pixels that are known tells how its colours are off elsewhere.

Models return a window a little brighter, flatter or tinted, and the next window starts from that. In each frame a gain and a
shift for each channel are found by which the known pixels agree, and all of the frame is corrected by them.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

CELLS = 24  # along the longer side: means of cells are compared, as a model may blur what is fine
MIN_KNOWN_CELLS = 0.02  # share of a frame's cells that must be known for a correction of its own
FLAT = 0.05  # standard deviation of colours below which a gain cannot be told from a shift
ROUNDS = 3
LARGEST_GAIN, LARGEST_SHIFT = 1.3, 0.15
# A correction that leaves more than this share of the difference, or this much of it, is none: the model made something else.
EXPLAINED, LARGEST_REST = 0.7, 0.04


def without_drift(
    made: Float[Tensor, "t h w 3"], shown: Float[Tensor, "t h w 3"], trusted: Bool[Tensor, "t h w"]
) -> Float[Tensor, "t h w 3"]:
    """``made`` with its colours corrected.

    Args:
        made: what a model returned, all pixels of it.
        shown: what it was shown, in 0..1.
        trusted: pixels of ``shown`` that it should have returned as they were.
    """
    corrections = [_correction(*arguments) for arguments in zip(made, shown, trusted, strict=True)]
    found = [index for index, correction in enumerate(corrections) if correction is not None]
    if not found:
        return made
    values = torch.stack([correction for correction in corrections if correction is not None]).flatten(1).numpy()
    # Frames with too little that is known take the correction of those beside them in time.
    frames = np.arange(len(made))
    spread = np.stack([np.interp(frames, found, column) for column in values.T], axis=1)
    gain, shift = torch.from_numpy(spread).to(made).reshape(-1, 2, 1, 1, 3).unbind(1)
    return (made * gain + shift).clamp(0, 1)


def mean_colour_error(made: Float[Tensor, "t h w 3"], shown: Float[Tensor, "t h w 3"], trusted: Bool[Tensor, "t h w"]) -> float:
    """How far the mean colour of the trusted pixels is off, on average over frames and channels; 0 where there are none."""
    errors = [
        (a[where] - b[where]).mean(0).abs().mean() for a, b, where in zip(made, shown, trusted, strict=True) if where.any()
    ]
    return float(torch.stack(errors).mean()) if errors else 0.0


def _correction(
    made: Float[Tensor, "h w 3"], shown: Float[Tensor, "h w 3"], trusted: Bool[Tensor, "h w"]
) -> Float[Tensor, "2 3"] | None:
    """Gain and shift of each channel, or None where too little is known, or what is known differs by more than that."""
    x, y = _means_of_cells(made, trusted), _means_of_cells(shown, trusted)
    if len(x) < MIN_KNOWN_CELLS * CELLS**2 or len(x) < 3:
        return None
    weights = torch.ones(len(x))
    gain, shift = torch.ones(3), torch.zeros(3)
    for _ in range(ROUNDS):
        share = (weights / weights.sum())[:, None]
        mean_x, mean_y = (share * x).sum(0), (share * y).sum(0)
        spread = (share * (x - mean_x).square()).sum(0) + FLAT**2  # what is flat has a gain of 1
        gain = 1 + (share * (x - mean_x) * ((y - x) - (mean_y - mean_x))).sum(0) / spread
        gain = gain.clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
        shift = (mean_y - gain * mean_x).clamp(-LARGEST_SHIFT, LARGEST_SHIFT)
        off = (gain * x + shift - y).abs().mean(1)
        weights = 1 / off.clamp_min(2 * off.median() + 1e-6)  # cells that show something else count less
    before, after = (x - y).abs().mean(), (gain * x + shift - y).abs().mean()
    return torch.stack([gain, shift]) if after <= min(EXPLAINED * before, LARGEST_REST) else None


def _means_of_cells(rgb: Float[Tensor, "h w 3"], where: Bool[Tensor, "h w"]) -> Float[Tensor, "n 3"]:
    """Mean colours of the cells of a frame, over their pixels that count, of cells where at least half of them do."""
    side = max(1, -(-max(rgb.shape[:2]) // CELLS))
    weight = where[None, None].float()
    padding = (0, -rgb.shape[1] % side, 0, -rgb.shape[0] % side)
    sums = F.avg_pool2d(F.pad(rgb.permute(2, 0, 1)[None] * weight, padding), side)[0]
    counts = F.avg_pool2d(F.pad(weight, padding), side)[0, 0]
    cells = counts >= 0.5
    return (sums[:, cells] / counts[cells]).T
