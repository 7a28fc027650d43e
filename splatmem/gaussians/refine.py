"""Refinement: newly written Gaussians fit their frame, the others stay as they are."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians.container import Gaussians
from splatmem.gaussians.depth_edges import before_an_edge, behind_an_edge
from splatmem.gaussians.draw import rasterize
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import maximum
from splatmem.render.blending import BlendingWeights
from splatmem.render.spherical_harmonics import SH_C0
from splatmem.threads import both

WEIGHT_FLOOR = 0.05  # of a Gaussian in the picture, in pixels: one that hardly shows is not fitted to what little of it does
HELD = 0.001  # weight of a colour's difference from the lifted one, times the area of its Gaussian, beside the picture's errors
BRIGHTEST = 1.25  # colours may exceed white by this much, to make up for darker neighbours that show in the same pixels
ENLARGED = 1.5  # size of the enlarged picture that colours are fitted to as well, beside the picture's own
ENLARGED_WEIGHT = 0.1  # of its squared errors, beside those of the picture itself
OUTLINE_REACH = 2  # pixels beside an outline in which footprints from its other side show
CLOSE_WINDOW, CLEAR_WINDOW = 5, 9  # pixels along a side of the windows in which colours close to an outline are looked for
OUTLINE_MARGIN = 0.2  # how far colours before an outline may leave the range of those close by, as a share of the range
FEATURE_ROUNDS = 4  # then a view reads its features back to a few percent; more makes other views worse


@torch.no_grad()
def refine(
    gaussians: Gaussians,
    chosen: tuple[int, int],
    target: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    camera: Cameras,
    steps: int,
) -> Gaussians:
    """Fits the colours of the chosen range to one picture; places, sizes and with them the sampling distance do not change.

    A renderer widens every footprint by a fraction of a pixel. Colours that make up for this blur in the picture's own size
    are too bright and too dark in every other: from near they would show as dots. So they are fitted to the enlarged picture
    as well.

    A picture is linear in the colours: conjugate gradients on the normal equations (CGLS, Hestenes & Stiefel 1952), scaled by
    how much of each Gaussian shows. Colours are bounded, as what is drawn of them is: after half of the steps, those that left
    the bounds are put on them, and the other half fits the rest to what that changed.

    Args:
        chosen: first and one past the last Gaussian that may change.
        target: the picture, 0..1. Where the Gaussians do not cover it, it is taken to lie behind them.
        depth: its z-depth, ``inf`` for sky.
        camera: the one that saw it.
    """
    first, last = chosen
    enlarged = camera.resized(round(ENLARGED * camera.width), round(ENLARGED * camera.height))
    lifted = gaussians.rgb[first:last]
    pictures, (low, high) = both(
        lambda: [
            _Picture.of(gaussians, chosen, target, camera, 1.0),
            _Picture.of(gaussians, chosen, _resized(target, enlarged), enlarged, ENLARGED_WEIGHT),
        ],
        lambda: _bounds(gaussians.means[first:last], lifted, target, depth, camera),
    )
    shown = _total(picture.shown() for picture in pictures).clamp_min(WEIGHT_FLOOR)
    held = HELD * _footprints(gaussians.select(slice(first, last)), camera)[:, None]
    colours, residuals = lifted, [picture.missing for picture in pictures]
    for count in (steps - steps // 2, steps // 2):
        if colours is not lifted:
            residuals = [picture.missing - picture.blend(colours - lifted) for picture in pictures]
        free = direction = size = None
        for _ in range(count):
            gradient = _total(picture.sum(residual) for picture, residual in zip(pictures, residuals, strict=True))
            gradient -= held * (colours - lifted)
            if free is None:
                # A colour that would leave its bounds stays on them, and the others make up for it.
                free = ~(((colours <= low) & (gradient < 0)) | ((colours >= high) & (gradient > 0)))
            gradient *= free
            scaled = gradient / shown
            previous, size = size, (gradient * scaled).sum()
            if direction is None or previous is None:
                direction = scaled
            else:
                direction = scaled + size / previous.clamp_min(1e-20) * direction
            changes = [picture.blend(direction) for picture in pictures]
            curvature = _total(change.square().sum() for change in changes) + (held * direction.square()).sum()
            length = size / curvature.clamp_min(1e-20)
            colours = colours + length * direction
            residuals = [residual - length * change for residual, change in zip(residuals, changes, strict=True)]
        colours = torch.maximum(torch.minimum(colours, high), low)
    sh = gaussians.sh.clone()
    sh[first:last, 0] += (colours - lifted) / SH_C0  # what does not show stays the same to the bit
    return gaussians.recoloured(sh, first, last)


@dataclass(frozen=True)
class _Picture:
    """One of the pictures that colours are fitted to: a linear map from colours to its pixels, and its transpose.

    Attributes:
        weights: of the chosen Gaussians in it.
        missing: what is drawn with the lifted colours falls short of it by this, times ``root``, ``[h, w, 3]``; meaningful
            where some of the chosen show.
        root: square root of the weight of a squared error, by which all of its pixels are multiplied.
    """

    weights: BlendingWeights
    missing: Float[Tensor, "h w 3"]
    root: float

    @classmethod
    def of(
        cls, gaussians: Gaussians, chosen: tuple[int, int], target: Float[Tensor, "h w 3"], camera: Cameras, weight: float
    ) -> _Picture:
        """The picture ``target`` that the camera is to see, with the weight of a squared error."""
        weights = BlendingWeights(
            gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, camera.world_to_cam[0],
            camera.intrinsics[0], camera.width, camera.height, chosen=chosen, channels=3, colours=gaussians.rgb,
        )  # fmt: skip
        assert weights.drawn is not None
        drawn, alpha = weights.drawn
        root = math.sqrt(weight)
        return cls(weights, root * (alpha[..., None] * target - drawn), root)

    def blend(self, colours: Float[Tensor, "n 3"]) -> Float[Tensor, "h w 3"]:
        """The picture of the chosen Gaussians with these colours."""
        return self.weights.blend(self.root * colours)

    def sum(self, pixels: Float[Tensor, "h w 3"]) -> Float[Tensor, "n 3"]:
        """For each of the chosen, the sum of pixels times its weights in them."""
        return self.root * self.weights.sum(pixels)

    def shown(self) -> Float[Tensor, "n 3"]:
        """How much of each of the chosen shows, in pixels times the weight of a squared error."""
        return self.root**2 * self.weights.sum()


def _total(parts: Iterable[Tensor]) -> Tensor:
    return functools.reduce(torch.add, parts)


def _resized(picture: Float[Tensor, "h w 3"], camera: Cameras) -> Float[Tensor, "h2 w2 3"]:
    """Interpolated to the size of a camera's pictures."""
    size = (camera.height, camera.width)
    return F.interpolate(picture.permute(2, 0, 1)[None], size=size, mode="bicubic")[0].permute(1, 2, 0).clamp(0, 1)


def _bounds(
    means: Float[Tensor, "n 3"],
    lifted: Float[Tensor, "n 3"],
    target: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    camera: Cameras,
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """The darkest and the brightest colour that each Gaussian may get.

    Footprints reach over outlines. What lies right behind one would make up for what reaches over it, and so would the outline
    itself, by colours that no pixel has: from aside they show as bright beads. There, colours are those of the picture close
    by: behind an outline the Gaussian's own, and those of pixels that it does not touch.
    """
    pixels = camera.project(means)[0][0].floor().long()
    column, row = pixels[:, 0].clamp(0, camera.width - 1), pixels[:, 1].clamp(0, camera.height - 1)
    picture = target.permute(2, 0, 1).contiguous()
    behind, before = behind_an_edge(depth, OUTLINE_REACH), before_an_edge(depth, OUTLINE_REACH)
    touched = behind_an_edge(depth, 1) | before_an_edge(depth, 1)
    # Highest and lowest of the colours and of the negated ones, so that one filter finds both ends.
    both = torch.cat([picture, -picture])
    close = maximum(both, CLOSE_WINDOW)
    margin = OUTLINE_MARGIN * (close[:3] + close[3:]).repeat(2, 1, 1)
    clear = maximum(torch.where(touched, -torch.inf, both), CLEAR_WINDOW)
    ends = torch.where(behind & torch.isfinite(clear[0]), clear, close + margin)
    ends = torch.where(behind | before, ends, torch.tensor([BRIGHTEST] * 3 + [0.0] * 3).to(ends)[:, None, None])
    high, low = ends[:3], -ends[3:]
    low, high = torch.minimum(low[:, row, column].T, lifted), torch.maximum(high[:, row, column].T, lifted)
    return low.clamp_min(0), high.clamp_max(BRIGHTEST)


def _footprints(gaussians: Gaussians, camera: Cameras) -> Float[Tensor, " n"]:
    """Area of each Gaussian in the picture, in pixels, if nothing hid it and it were seen from the front."""
    depth = camera.project(gaussians.means)[1][0].clamp_min(1e-12)
    return 2 * math.pi * (camera.focal.mean() * gaussians.scales[:, :2] / depth[:, None]).prod(-1)


def fit_features(
    gaussians: Gaussians,
    last: int,
    target: Float[Tensor, "h w f"],
    wanted: Bool[Tensor, "h w"],
    camera: Cameras,
    rounds: int = FEATURE_ROUNDS,
) -> Gaussians:
    """Adjusts the features of the last Gaussians until the camera reads ``target`` where wanted, and rounds them to half
    precision.

    A picture is linear in the features: they are found by the simultaneous iterative reconstruction technique (Gilbert 1972),
    which hands every Gaussian back the mean of what is missing in the pixels that it shows in.

    Args:
        gaussians: with features; those before the last are frozen.
        last: how many may change.
        target: what the camera should read.
        wanted: where that counts.
        camera: at the target's size.
    """
    assert gaussians.features is not None
    if last == 0:
        return gaussians.with_values(features=gaussians.features.half())
    camera = camera.to(gaussians.device)
    features = gaussians.features.float()
    for _ in range(rounds):
        channels = torch.cat([features, torch.ones_like(features[:, :1])], dim=-1).requires_grad_()
        drawn = rasterize(gaussians, camera, extra=channels)
        assert drawn.extra is not None
        residual = wanted[..., None] * (target - drawn.extra[0, ..., :-1] / drawn.alpha[0].clamp_min(1e-3)[..., None])
        weighted = torch.cat([residual, wanted[..., None].float()], dim=-1).detach()
        (back,) = torch.autograd.grad((drawn.extra[0] * weighted).sum(), channels)
        change = back[:, :-1] / back[:, -1:].clamp_min(1e-3)
        features[-last:] += change[-last:]
    return gaussians.with_values(features=features.half())
