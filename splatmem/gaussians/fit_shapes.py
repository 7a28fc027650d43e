"""Fits places, sizes, directions and colours of flat Gaussians to pictures, on the surfaces that they lie on.

A Gaussian moves in its own tangent plane, and turns about its own normal: what lies flat on a wall stays on the wall, whatever
the pictures ask for. Its thickness stays too. The surface is kept covered at any size of picture: beside colours, the
opacity of a drawing without a rasterizer's low-pass counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians.container import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.render import rasterization
from splatmem.render.rasterization import NEAR_PLANE
from splatmem.render.spherical_harmonics import SH_C0

COVERED = 0.995
"""Opacity that surfaces should have."""
COVERAGE_WEIGHT = 1.0
"""Of squared opacity that is lacking, beside squared errors of colour."""
HELD = 0.05
"""Weight of squared differences of colours from those at first: what shines through in one view alone, where others hide it,
keeps a plausible colour."""
NO_LOW_PASS = 1e-4
"""Of a drawing that shows how surfaces look from so near that a low-pass does nothing, in square pixels."""
TURNS = 4
"""Many pictures hold the shapes better than few that are looked at more often."""
RATES = {"shift": 0.08, "size": 0.06, "turn": 0.06, "colour": 0.02}
"""Steps at first: in standard deviations, logarithms, radians, colours in 0..1; they fall to a tenth (Adam, Kingma 2015)."""


@dataclass(frozen=True)
class Reference:
    """A picture that the Gaussians should show.

    Attributes:
        camera: one camera.
        rgb: 0..1, ``[h, w, 3]``.
        counts: pixels that it tells something of, ``[h, w]``.
        weight: of its pixels beside those of other pictures.
    """

    camera: Cameras
    rgb: Float[Tensor, "h w 3"]
    counts: Bool[Tensor, "h w"]
    weight: float = 1.0


def fit_shapes(
    gaussians: Gaussians,
    free: Bool[Tensor, " n"],
    always: Sequence[Reference],
    in_turn: Sequence[Reference],
    steps: int,
    announce: Callable[[float], None] = lambda share: None,
) -> Gaussians:
    """The Gaussians after some steps of gradient descent; those that are not free stay the same.

    Args:
        always: pictures that each step looks at.
        in_turn: pictures of which each step looks at every ``TURNS``-th, with as much more weight.
        steps: how many.
        announce: told the share of the steps that is done.
    """
    if steps < 1 or not free.any() or not (always or in_turn):
        return gaussians
    index = torch.nonzero(free)[:, 0]
    start = gaussians.select(index)
    axes = start.rotations[:, :, :2] * start.scales[:, None, :2]
    values = {
        "shift": torch.zeros_like(start.means[:, :2]),
        "size": torch.zeros_like(start.means[:, :2]),
        "turn": torch.zeros_like(start.opacity_logits),
        "colour": start.rgb.clone(),
    }
    values = {name: value.requires_grad_() for name, value in values.items()}
    optimizer = torch.optim.Adam([{"params": [value], "lr": RATES[name]} for name, value in values.items()], betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.1 ** (1 / steps))

    def moved() -> Gaussians:
        half = values["turn"] / 2
        grown = torch.nn.functional.pad(values["size"], (0, 1))
        return start.with_values(
            means=start.means + (axes @ values["shift"][:, :, None])[..., 0],
            quats=_turned(start.quats, half),
            log_scales=start.log_scales + grown,
            sh=((values["colour"] - 0.5) / SH_C0)[:, None],
        )

    for step in range(steps):
        optimizer.zero_grad()
        # One drawing's graph at a time: the parameters' own gradients are summed over all of them.
        now = moved()
        leaves = _leaves(now)
        some = [replace(reference, weight=TURNS * reference.weight) for reference in in_turn[step % TURNS :: TURNS]]
        for reference in [*always, *some]:
            _loss(_with(gaussians, index, leaves), reference).backward()
        torch.autograd.backward(
            [now.means, now.quats, now.log_scales, now.sh],
            [_gradient(leaf) for leaf in (leaves.means, leaves.quats, leaves.log_scales, leaves.sh)],
        )
        (HELD * (values["colour"] - start.rgb).square().sum()).backward()
        optimizer.step()
        schedule.step()
        announce((step + 1) / steps)
    with torch.no_grad():
        values["colour"].clamp_(0, 1)
        fitted = moved().detach()
    return _with(gaussians, index, fitted)


def _leaves(gaussians: Gaussians) -> Gaussians:
    """Copies that gather gradients."""
    detached = gaussians.detach()
    return detached.with_values(
        **{name: getattr(detached, name).requires_grad_() for name in ("means", "quats", "log_scales", "sh")},
    )


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def _with(gaussians: Gaussians, index: Tensor, some: Gaussians) -> Gaussians:
    """The Gaussians with others at some places."""
    return gaussians.with_values(
        **{
            name: getattr(gaussians, name).index_copy(0, index, getattr(some, name))
            for name in ("means", "quats", "log_scales", "sh")
        },
    )


def _turned(quats: Float[Tensor, "n 4"], half: Float[Tensor, " n"]) -> Float[Tensor, "n 4"]:
    """Rotations after a turn about local z, by half of its angle."""
    w, x, y, z = quats.unbind(-1)
    c, s = half.cos(), half.sin()
    return torch.stack([w * c - z * s, x * c + y * s, y * c - x * s, z * c + w * s], dim=-1)


def _loss(gaussians: Gaussians, reference: Reference) -> Float[Tensor, ""]:
    camera, counts = reference.camera, reference.counts
    scene = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities)
    view = (camera.world_to_cam, camera.intrinsics, camera.width, camera.height)
    image, alpha, _ = rasterization(*scene, gaussians.rgb, *view, near_plane=NEAR_PLANE)
    missing = counts[..., None] * (image[0] + (1 - alpha[0]) * reference.rgb - reference.rgb)
    nothing = gaussians.means[:, :0]
    near = rasterization(*scene, nothing, *view, near_plane=NEAR_PLANE, eps2d=NO_LOW_PASS, render_mode="D")[1][0, ..., 0]
    bare = counts * (COVERED - near).clamp_min(0)
    return reference.weight * missing.square().sum() / 3 + COVERAGE_WEIGHT * bare.square().sum()
