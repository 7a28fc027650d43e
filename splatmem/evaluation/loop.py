"""How well a finished memory holds together: coming back, seams, things that hang in the air."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.evaluation.film import Film
from splatmem.evaluation.first_view import FirstView
from splatmem.evaluation.scenes import Truth
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory
from splatmem.metrics import Fidelity, psnr

BACK = 120.0  # degrees away from the first view from which a write belongs to the back of a turn
REACH = 2  # pixels to either side of a border within which a join may show: splats overlap
BESIDE = 6  # pixels from a border at which the ordinary contrast is taken
IN_FRONT = 0.9  # depth relative to the photo's surface from which something hangs in front of it


def loop_psnr(rgb: Float[Tensor, "v h w 3"], truth: Truth, first_view: FirstView) -> float:
    """The film's last frame against the truth there, over what the first frame shows: for a closed path, last against first.

    ``nan`` where the path does not return: the last frame must show at least half of what the first one does, and twice as
    much of it as some frame on the way.
    """
    share = first_view.kept.flatten(1).float().mean(1)
    returns = share[-1] >= 0.5 and share[-1] >= 2 * share.min()
    return psnr(rgb[-1], truth.rgb[-1], first_view.kept[-1]) if returns else math.nan


def retention(memory: SpatialMemory) -> Fidelity:
    """The mean over the written frames of what is left of the known, equal pictures as 100 dB, and of the worst patch of all;
    ``nan`` if none counts."""
    kept = memory.retention()
    if not kept:
        return Fidelity(math.nan, math.nan)
    mean = sum(min(frame.psnr, 100.0) for frame in kept) / len(kept)
    return Fidelity(mean, min(frame.worst_patch for frame in kept))


def closure_seam(memory: SpatialMemory) -> float:
    """How far the joins at the back of a turn stand out: mean contrast across them beyond that just beside them, 0..1.

    A join is the border of what a frame wrote that looks more than 120 degrees away from the first; there a turn closes.
    The largest step between neighbouring pixels within two pixels of it is compared with those around six pixels to either
    side. About 0 where no seam can be seen; ``nan`` where nothing was written at the back.
    """
    first = memory.views[0].camera.forward[0]
    across, beside = [], []
    for view in memory.views[1:]:
        angle = torch.rad2deg(torch.acos((view.camera.forward[0] @ first).clamp(-1, 1)))
        if angle < BACK:
            continue
        rgb = memory.film(view.camera)[0][0]
        for axis in (0, 1):
            step = _largest_near(rgb.diff(dim=axis).abs().mean(-1), axis)
            border = view.written.diff(dim=axis)
            inner = slice(BESIDE, border.shape[axis] - BESIDE)
            index = [slice(None), slice(None)]
            index[axis] = inner
            at_border = border[tuple(index)]
            across.append(step[tuple(index)][at_border])
            for shift in (-BESIDE, BESIDE):
                index[axis] = slice(BESIDE + shift, border.shape[axis] - BESIDE + shift)
                calm = at_border & ~border[tuple(index)]
                beside.append(step[tuple(index)][calm])
    joined, ordinary = (torch.cat(parts) if parts else torch.zeros(0) for parts in (across, beside))
    return float(joined.mean() - ordinary.mean()) if len(joined) and len(ordinary) else math.nan


def _largest_near(steps: Float[Tensor, "h w"], axis: int) -> Float[Tensor, "h w"]:
    """The largest of the steps up to ``REACH`` pixels away along an axis."""
    size = [1, 1]
    size[axis] = 2 * REACH + 1
    return F.max_pool2d(steps[None], size, stride=1, padding=[side // 2 for side in size])[0]


def floater_fraction(film: Film, path: Cameras) -> float:
    """Share of what the photo alone showed in which the finished memory has something nearer to the camera, by 10 % or more.

    ``nan`` without a memory, or where the photo shows nothing.
    """
    if film.memory is None:
        return math.nan
    photo = film.memory.as_given()
    hanging = shown = 0
    for index in range(len(path)):
        alone = photo.read(path[index])
        solid = alone.known[0] & torch.isfinite(alone.depth[0])
        hanging += int((film.depth[index][solid] < IN_FRONT * alone.depth[0][solid]).sum())
        shown += int(solid.sum())
    return hanging / shown if shown else math.nan
