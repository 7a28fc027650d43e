"""Long memory: a live walk out and back, several times, and what each return shows against the first visit.

The protocol is that of the field's tables for long memory (out along a path and back, frames of the way back against those of
the way out), made harder: several laps, and changes of the scene between them. The camera's path is not known beforehand: each
frame is shown as the scene is when the camera gets there, after what is unknown in it has been made; nothing looks ahead.

What a change of the scene (a thing taken away) alters on purpose counts from then on as it looks after the change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.evaluation.features import PatchFeatures, feature_distance
from splatmem.geometry.cameras import Cameras
from splatmem.metrics import psnr, ssim
from splatmem.scene import Scene

EQUAL_PSNR = 100.0  # stands for infinite: equal pictures
CHANGED = 2 / 255  # of a channel: what differs by more right before and after a change was changed on purpose
Change = Callable[[Scene], object]


@dataclass(frozen=True)
class Revisit:
    """A place that was seen before.

    Attributes:
        visit: how often it had been seen.
        frame: of the path.
        psnr: in dB against the first visit; equal pictures count as 100.
        ssim: structural similarity to it.
        feature_distance: see ``splatmem.evaluation.features``; ``nan`` where no features were asked for.
    """

    visit: int
    frame: int
    psnr: float
    ssim: float
    feature_distance: float


def walk(
    scene: Scene, path: Cameras, laps: int, changes: Sequence[Change] = (), describe: PatchFeatures | None = None
) -> list[Revisit]:
    """Walks out along a path and back, so many times.

    Args:
        scene: is made as the camera comes along.
        path: the way out, from the first view on.
        laps: how often out and back.
        changes: what is done to the scene after each lap but the last, in turn.
        describe: for a learned distance.

    Returns:
        One for each frame that shows a place again, in the order of the walk.
    """
    first: dict[int, Float[Tensor, "1 h w 3"]] = {}
    visits: dict[int, int] = {}
    found = []
    way = [*range(len(path)), *reversed(range(len(path) - 1))]
    for lap in range(laps):
        for frame in way if lap == 0 else way[1:]:
            scene.look(path[frame])
            shown = scene.memory.film(path[frame])[0]
            if frame in first:
                found.append(_compared(visits[frame], frame, shown, first[frame], describe))
            else:
                first[frame] = shown
            visits[frame] = visits.get(frame, 0) + 1
        if changes and lap + 1 < laps:
            before = {frame: scene.memory.film(path[frame])[0] for frame in first}
            changes[lap % len(changes)](scene)
            for frame, old in before.items():
                new = scene.memory.film(path[frame])[0]
                changed = (new - old).abs().amax(-1, keepdim=True) > CHANGED
                first[frame] = torch.where(changed, new, first[frame])
    return found


def _compared(visit: int, frame: int, shown: Tensor, before: Tensor, describe: PatchFeatures | None) -> Revisit:
    everywhere = torch.ones(shown.shape[:3], dtype=torch.bool)
    distance = math.nan if describe is None else feature_distance(describe(shown), describe(before), everywhere)
    return Revisit(visit, frame, min(psnr(shown, before), EQUAL_PSNR), ssim(shown, before, everywhere), distance)
