"""Gaussians in colours that say something about them: who made them, how far they are trusted, where they lie."""

from __future__ import annotations

import colorsys
import math

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import rgb_to_sh
from splatmem.gaussians.lift import sampling_distance
from splatmem.geometry.cameras import Cameras
from splatmem.memory.visibility import FULL_TRUST_MAGNIFICATION, NO_TRUST_MAGNIFICATION
from splatmem.scene import Scene

RAMP = ((0.19, 0.07, 0.23), (0.27, 0.51, 0.98), (0.10, 0.90, 0.70), (0.80, 0.92, 0.20), (0.98, 0.50, 0.10), (0.48, 0.02, 0.01))
GIVEN = (0.85, 0.85, 0.85)
BEGINNINGS = ("begin", "import")


def coloured(scene: Scene, kind: str) -> tuple[Gaussians, list[str]]:
    """The scene's Gaussians in the colours of ``kind``, and lines that say what the colours mean.

    Args:
        kind: ``provenance`` (which step made a Gaussian), ``age`` (from the first to the last step and window), ``trust`` (as
            the first camera sees it), ``depth`` (distance from the first camera), ``normals``.

    Raises:
        ValueError: there is no such kind.
    """
    gaussians, camera = scene.memory.gaussians.to("cpu").detach(), scene.memory.views[0].camera
    if kind == "normals":
        return facing_colours(gaussians)
    if kind == "depth":
        return by_depth(gaussians, camera)
    if kind == "trust":
        pixel = (gaussians.means - camera.centers[0]).norm(dim=-1) / camera.focal.mean()
        excess = (sampling_distance(gaussians) / pixel.clamp_min(1e-9)).clamp_min(FULL_TRUST_MAGNIFICATION).log()
        none, full = math.log(NO_TRUST_MAGNIFICATION), math.log(FULL_TRUST_MAGNIFICATION)
        trust = (1 - (excess - full) / (none - full)).clamp(0, 1)
        return _in(gaussians, ramp(1 - trust)), ["trust at the first camera: dark blue whole, red none"]
    step = scene.makers.step.long()
    if kind == "age":
        windows = max(1, int(scene.makers.window.max()) + 1) if len(step) else 1
        order = step * (windows + 1) + scene.makers.window.long() + 1
        place = torch.unique(order, return_inverse=True)[1].float()
        return _in(gaussians, ramp(place / place.amax().clamp_min(1))), ["age: dark blue made first, red made last"]
    if kind == "provenance":
        table = torch.tensor([step_colour(scene, place) for place in range(len(scene.history))])
        lines = [f"{_named(step_colour(scene, i))}: {step.operation} (step {i})" for i, step in enumerate(scene.history)]
        return _in(gaussians, table[step]), lines
    raise ValueError(f"the colours of a scene are photo, provenance, trust, depth, normals or age, got {kind!r}")


def facing_colours(gaussians: Gaussians) -> tuple[Gaussians, list[str]]:
    """Gaussians in colours of their normals."""
    return _in(gaussians, 0.5 + 0.5 * gaussians.normals), ["normals: red right, green down, blue forward"]


def by_depth(gaussians: Gaussians, camera: Cameras | None) -> tuple[Gaussians, list[str]]:
    """Gaussians in colours of their distance from a camera, or from the origin."""
    center = torch.zeros(3) if camera is None else camera.centers[0]
    distance = (gaussians.means - center).norm(dim=-1).clamp_min(1e-9).log()
    ordered = distance.sort().values
    low, high = ordered[int(0.02 * (len(ordered) - 1))], ordered[int(0.9 * (len(ordered) - 1))]
    share = ((distance - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)
    return _in(gaussians, ramp(share)), ["depth: dark blue near, red far"]


def step_colour(scene: Scene, place: int) -> tuple[float, float, float]:
    """A colour for a step: light grey for what was given, another hue for each step after it."""
    if scene.history[place].operation in BEGINNINGS:
        return GIVEN
    return colorsys.hsv_to_rgb((0.02 + 0.381966 * place) % 1.0, 0.75, 0.95)  # by the golden ratio: neighbours differ


def _named(colour: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * value):02x}" for value in colour)


def ramp(values: Float[Tensor, " n"]) -> Float[Tensor, "n 3"]:
    """Colours for values in 0..1, from dark blue by green to red."""
    table = torch.tensor(RAMP)
    place = values * (len(table) - 1)
    low = place.floor().clamp(0, len(table) - 2).long()
    return torch.lerp(table[low], table[low + 1], (place - low)[:, None])


def _in(gaussians: Gaussians, colours: Float[Tensor, "n 3"]) -> Gaussians:
    return gaussians.with_values(sh=rgb_to_sh(colours))
