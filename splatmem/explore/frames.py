"""One frame that was filled becomes part of the memory: its depth is aligned with what is known, and the rest is written."""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.depth import DepthEstimator, completed_depth
from splatmem.depth.alignment import align
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate, maximum
from splatmem.geometry.push_pull import fill_gaps
from splatmem.inpaint import FilledFrames
from splatmem.inpaint.blending import blend_colours
from splatmem.memory import MemoryReading, SpatialMemory
from splatmem.memory.free_space import Bodies
from splatmem.memory.leaks import STRICT, LeakLimits
from splatmem.memory.visibility import KNOWN_ALPHA, SOLID_ALPHA
from splatmem.threads import both, torch_alone
from splatmem.timing import StageClock

SKIN = 0.985  # depth of a surface's other side, relative to the back that a view sees
BEHIND, ONE_SURFACE = 1.02, 0.1  # how far behind a seam's edge what is beside it is put; ratio of depths (log) of one surface
SEAM = 2  # pixels from what is unknown up to which a half covered pixel is the edge of what was written before ...
ALIKE = 0.08  # ... and shows colours smeared in from afar: it takes those on both its sides if they differ by no more


def write_frame(
    memory: SpatialMemory,
    filled: FilledFrames,
    index: int,
    camera: Cameras,
    min_pixels: int,
    estimate_depth: DepthEstimator,
    refine_steps: int,
    clock: StageClock,
    usable: Bool[Tensor, "h w"] | None = None,
    ahead: Bodies | None = None,
    within: Bool[Tensor, "h w"] | None = None,
    now: MemoryReading | None = None,
    limits: LeakLimits = STRICT,
) -> float | None:
    """Writes what is unknown still in one frame of a window, if that is ``min_pixels`` pixels or more; returns its border step.

    It is fitted by ``refine_steps`` steps of conjugate gradients. Earlier frames of the window are known by now. Where
    something may have moved, ``usable`` pixels alone are written; nothing is added but ``within`` some pixels, if these are
    given. Nothing is written that reaches the cameras ``ahead``. ``now`` is what the memory shows, if that is at hand;
    ``limits`` is how much of what earlier views show may be covered.
    """
    if now is None:
        with clock.stage("read"):
            now = memory.read(camera)
    known = now.known[0]
    unknown = ~known if usable is None else ~known & usable
    if int(unknown.sum()) < max(1, min_pixels):
        return None
    with clock.stage("depth"):
        if filled.depth is not None:
            made = filled.depth[index]
        else:
            made = completed_depth(estimate_depth, filled.rgb[index], now.depth[0], known, camera.fov_x_degrees)
    with torch_alone(made.numel()):
        with clock.stage("depth"):
            aligned, rgb = both(
                partial(align, made, now.depth[0], known), partial(blend_colours, filled.rgb[index], now.rgb[0], known)
            )
            depth = _before_backs(aligned.depth, now)
        with clock.stage("write"):
            # What is known but hardly covered, at the edges of what was written before, is written too: a little behind.
            solid = known & (now.alpha[0] >= SOLID_ALPHA)
            rim = known & ~solid
            depth = _behind_seams(depth, known, rim)
            seam = rim & dilate(~known[None], SEAM)[0]
            if seam.any():
                closed = fill_gaps(rgb.permute(2, 0, 1)[None], ~seam[None])[0].permute(1, 2, 0)
                rgb = torch.where((closed - rgb).abs().amax(-1, keepdim=True) < ALIKE, closed, rgb)
            wanted = ~solid if within is None else ~solid & within
            memory.write(rgb, depth, camera, wanted, usable, refine_steps=refine_steps, clock=clock, ahead=ahead, limits=limits)
    return aligned.border_step


def _behind_seams(depth: Float[Tensor, "h w"], known: Bool[Tensor, "h w"], rim: Bool[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Depth that is a little farther along the edge of what is known, where the surface goes on, and on the rim itself.

    The first pixels beside an edge reach over it. Where they lie in front, be it by a hair, they cover what earlier views show,
    are drawn in or left out for that, and leave a row of holes along the seam.
    """
    reach = 2 * SEAM + 1
    farthest = maximum(torch.where(known, depth, 0.0), reach)
    nearest = -maximum(torch.where(known, -depth, -torch.inf), reach)
    beside = ~known & dilate(known[None], SEAM)[0]
    own = [beside & ((edge / depth).log().abs() < ONE_SURFACE) for edge in (farthest, nearest)]
    edge = torch.where(own[0], farthest, nearest)
    behind = torch.where(own[0] | own[1], BEHIND * torch.maximum(edge, depth), depth)
    return torch.where(rim, BEHIND * maximum(depth, reach), behind)


def _before_backs(depth: Float[Tensor, "h w"], now: MemoryReading) -> Float[Tensor, "h w"]:
    """Depth that does not lie behind the back of a surface: what is made there becomes the surface's other side."""
    back = ~now.known[0] & (now.alpha[0] > KNOWN_ALPHA) & torch.isfinite(now.depth[0])
    return torch.where(back, torch.minimum(depth, SKIN * now.depth[0]), depth)
