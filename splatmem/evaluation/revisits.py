"""Long memory: a live walk out and back, several times, and what each return shows against the first visit.

The protocol is that of the field's tables for long memory (out along a path and back, frames of the way back against those of
the way out), made harder: several laps, and changes of the scene between them. The camera's path is not known beforehand: each
frame is shown as the scene is when the camera gets there, after what is unknown in it has been made; nothing looks ahead.

A thing that is taken away between laps changes what it covered, on purpose: pixels that showed what went (the thing, its
shadow, and what had been guessed behind it), and a narrow rim about them, count from then on as they look after the change. All
other pixels must stay as they were at their first visit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.classes import PixelClasses
from splatmem.edit.removal import rim_width
from splatmem.evaluation.features import PatchFeatures, feature_distance
from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import rasterize
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate
from splatmem.metrics import EQUAL_PSNR, psnr, ssim
from splatmem.scene import Scene

TOUCHED = 2 / 255  # share of a pixel's colour above which it shows what is taken away
THING_SHARES = (0.004, 0.12)  # of the picture: how large a thing is that is taken away

DESCRIBED_EVERY = 5  # frames of the path of which one is compared by features

Touched = Bool[Tensor, "1 h w 1"]


class Change(Protocol):
    """Changes a scene between two laps."""

    def __call__(self, scene: Scene, cameras: Cameras) -> list[Touched]:
        """Changes it; returns for each camera the pixels that it was meant to change, or an empty list for none at all."""
        ...


@dataclass(frozen=True)
class Revisit:
    """A place that was seen before.

    Attributes:
        visit: how often it had been seen.
        frame: of the path.
        psnr: in dB against the first visit; equal pictures count as 100.
        known_psnr: the same over what was known then: what was not was shown smeared over, and may be made later.
        ssim: structural similarity to it.
        feature_distance: see ``splatmem.evaluation.features``; ``nan`` where no features were asked for, and for four of
            five frames, since it takes longer than all else.
    """

    visit: int
    frame: int
    psnr: float
    known_psnr: float
    ssim: float
    feature_distance: float


@dataclass(frozen=True)
class _Shown:
    """What a frame showed: its colours, and which of its pixels were known."""

    rgb: Float[Tensor, "1 h w 3"]
    known: Bool[Tensor, "1 h w"]

    def changed(self, touched: Touched, now: _Shown) -> _Shown:
        """The same, but for some pixels as they are now."""
        return _Shown(torch.where(touched, now.rgb, self.rgb), torch.where(touched[..., 0], now.known, self.known))


def walk(
    scene: Scene, path: Cameras, laps: int, changes: Sequence[Change] = (), describe: PatchFeatures | None = None
) -> list[Revisit]:
    """Walks out along a path and back, so many times.

    Args:
        scene: is made as the camera comes along.
        path: the way out, from the first view on.
        laps: how often out and back.
        changes: what is done to the scene after each lap but the last, in turn; see ``Extension`` and ``ThingRemoval``.
        describe: for a learned distance.

    Returns:
        One for each frame that shows a place again, in the order of the walk.
    """
    first: dict[int, _Shown] = {}
    visits: dict[int, int] = {}
    found = []
    way = [*range(len(path)), *reversed(range(len(path) - 1))]
    for lap in range(laps):
        for frame in way if lap == 0 else way[1:]:
            scene.look(path[frame])
            shown = _Shown(*scene.memory.film(path[frame]))
            if frame in first:
                described = describe if frame % DESCRIBED_EVERY == 0 else None
                found.append(_compared(visits[frame], frame, shown, first[frame], described))
            else:
                first[frame] = shown
            visits[frame] = visits.get(frame, 0) + 1
        if changes and lap + 1 < laps:
            for frame, touched in enumerate(changes[lap % len(changes)](scene, path)):
                first[frame] = first[frame].changed(touched, _Shown(*scene.memory.film(path[frame])))
    return found


@dataclass(frozen=True)
class Extension:
    """Goes on with the scene along another path: nothing that was seen may change.

    Attributes:
        path: a preset's name.
        frames: of it.
    """

    path: str
    frames: int = 24

    def __call__(self, scene: Scene, cameras: Cameras) -> list[Touched]:
        scene.extend(self.path, self.frames)
        return []


class ThingRemoval:
    """Takes away the largest thing of the photo that is neither tiny nor most of the picture; without one nothing."""

    def __call__(self, scene: Scene, cameras: Cameras) -> list[Touched]:
        classes = scene.memory.views[0].classes
        at = None if classes is None else middle_of_a_thing(classes)
        chosen = None if at is None else scene.select(at=at)
        if chosen is None or not chosen.mask(scene.memory).any():
            return []
        before = scene.memory.gaussians
        scene.remove(chosen)
        return pixels_of(before, _gone(before, scene.memory.gaussians), cameras)


def _gone(before: Gaussians, after: Gaussians) -> Bool[Tensor, " n"]:
    """Which of the Gaussians before a change are not there any more: no Gaussian after it has the same place and size."""
    rows = [torch.cat([g.means, g.log_scales], dim=1).cpu().numpy() for g in (before, after)]
    whole, left = (np.ascontiguousarray(r).view(np.dtype((np.void, r.shape[1] * r.itemsize)))[:, 0] for r in rows)
    return torch.from_numpy(~np.isin(whole, left))


def middle_of_a_thing(classes: PixelClasses) -> tuple[float, float] | None:
    """The pixel ``x, y`` nearest to the middle of the largest thing whose share of the picture is within ``THING_SHARES``; None
    if there is no such thing."""
    least, most = (share * classes.things.numel() for share in THING_SHARES)
    for thing in range(1, classes.num_things + 1):
        pixels = (classes.things == thing).nonzero().double()
        if least <= len(pixels) <= most:
            y, x = pixels[(pixels - pixels.mean(0)).norm(dim=1).argmin()].tolist()
            return x + 0.5, y + 0.5
    return None


def pixels_of(gaussians: Gaussians, chosen: Bool[Tensor, " n"], cameras: Cameras) -> list[Touched]:
    """Pixels of cameras that show the chosen Gaussians, and the rim about them that changes when these are taken away."""
    share = chosen[:, None].to(gaussians.means)
    reach, found = 2 * rim_width(cameras), []
    for index in range(len(cameras)):
        drawn = rasterize(gaussians, cameras[index], extra=share).extra
        assert drawn is not None
        found.append(dilate(drawn[..., 0].cpu() > TOUCHED, reach)[..., None])
    return found


def _compared(visit: int, frame: int, shown: _Shown, before: _Shown, describe: PatchFeatures | None) -> Revisit:
    everywhere = torch.ones_like(before.known)
    if describe is None:
        distance = math.nan
    elif torch.equal(shown.rgb, before.rgb):
        distance = 0.0
    else:
        distance = feature_distance(describe(shown.rgb), describe(before.rgb), everywhere)
    whole, known = (min(psnr(shown.rgb, before.rgb, mask), EQUAL_PSNR) for mask in (everywhere, before.known))
    return Revisit(visit, frame, whole, known, ssim(shown.rgb, before.rgb, everywhere), distance)
