"""Keeps new Gaussians from showing in earlier views.

Positions in free space are ruled out before pixels are lifted (``splatmem.memory.free_space``). What can still show in an
earlier view are the margins of footprints, at the edge of its picture and along the outlines of objects. How much of a view a
Gaussian covers is the sum of its blending weights.
"""

from __future__ import annotations

import math
from dataclasses import replace

from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.contributions import contributions
from splatmem.geometry.cameras import Cameras

LEAK = 0.05  # pixels of known surface that one new Gaussian may cover in an earlier view ...
LEAK_SHARE = 0.02  # ... or this share of its own size there: surfaces are not quite opaque to what lies behind them
SHRINKINGS = 2  # times that a leaking Gaussian is halved before it is left out
REMOVALS = 4  # times that those that still leak are left out


def trim_leaks(old: Gaussians, added: Gaussians, cameras: Cameras, known: Bool[Tensor, "v h w"]) -> Gaussians:
    """``added`` with those Gaussians that show in the views made smaller, or left out where that does not help.

    Args:
        old: the scene so far.
        cameras: the views to protect.
        known: pixels of them that the scene so far shows.
    """
    covered = _covered(old, added, cameras, known)
    for shrinking in [True] * SHRINKINGS + [False] * REMOVALS:
        leaking = _leaking(covered, added, cameras)
        if not leaking.any():
            break
        # What they hid in the views may leak now. Where they did not show, nothing changes.
        changed = covered[:, leaking].any(1)
        if shrinking:
            # The thin axis stays: it says how finely the surface was sampled.
            smaller = added.log_scales - math.log(2) * leaking[:, None] * added.log_scales.new_tensor([1.0, 1.0, 0.0])
            added = replace(added, log_scales=smaller)
        else:
            added, covered = added.select(~leaking), covered[:, ~leaking]
        covered[changed] = _covered(old, added, cameras[changed], known[changed])
    return added


def _covered(old: Gaussians, added: Gaussians, cameras: Cameras, known: Bool[Tensor, "v h w"]) -> Float[Tensor, "v n"]:
    """How much each of the added Gaussians covers of the known pixels of each view."""
    scene = Gaussians.cat([old, added])
    return contributions(scene, cameras, known.float(), chosen=(len(old), len(scene)))


def _leaking(covered: Float[Tensor, "v n"], added: Gaussians, cameras: Cameras) -> Bool[Tensor, " n"]:
    """Which of the added Gaussians cover too much of some view."""
    depth = cameras.project(added.means)[1].clamp_min(1e-6)
    radius = cameras.focal.mean(1)[:, None, None] * added.scales[None, :, :2] / depth[..., None]
    alone = 2 * math.pi * radius.prod(-1)  # seen from the front: at most
    return ((covered > LEAK) & (covered > LEAK_SHARE * alone)).any(0)
