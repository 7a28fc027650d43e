"""Settings of the SuperSplat viewer: where it starts, and a film as its animation.

Source: https://github.com/playcanvas/supersplat-viewer, settings of version 2. Cameras are a place, a target and a field of
view along the longer side of the window; they have no roll. The viewer turns .ply, .compressed.ply and .sog by half a turn
about z, so that our y down becomes y up: the settings are in the world after that.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import look_at, rigid_inverse
from splatmem.io.atomic import atomic_path
from splatmem.io.intrinsics import Intrinsics, intrinsics_to_cameras
from splatmem.io.text import is_number, shortened

TURN = (-1.0, -1.0, 1.0)  # half a turn about z
OFF = {
    "sharpness": {"enabled": False, "amount": 0},
    "bloom": {"enabled": False, "intensity": 1, "blurLevel": 2},
    "grading": {"enabled": False, "brightness": 1, "contrast": 1, "saturation": 1, "tint": [1, 1, 1]},
    "vignette": {"enabled": False, "intensity": 0.5, "inner": 0.3, "outer": 0.75, "curvature": 1},
    "fringing": {"enabled": False, "intensity": 0.5},
}  # fmt: skip


def save_supersplat_settings(cameras: Cameras, file: Path, fps: float) -> None:
    """Writes settings whose first view is the first camera and whose animation is the film, a key a frame."""
    turn, degrees = torch.tensor(TURN), _longer_fov(cameras)
    places, targets = cameras.centers.cpu() * turn, (cameras.centers + cameras.forward).cpu() * turn
    track = {
        "name": "film", "duration": len(cameras) / fps, "frameRate": fps, "loopMode": "repeat", "interpolation": "spline",
        "smoothness": 1,
        "keyframes": {
            "times": list(range(len(cameras))),
            "values": {"position": places.flatten().tolist(), "target": targets.flatten().tolist(), "fov": degrees},
        },
    }  # fmt: skip
    settings = {
        "version": 2, "tonemapping": "none", "highPrecisionRendering": False, "background": {"color": [0, 0, 0]},
        "postEffectSettings": OFF, "animTracks": [track] if len(cameras) > 1 else [],
        "cameras": [{"initial": {"position": places[0].tolist(), "target": targets[0].tolist(), "fov": degrees[0]}}],
        "annotations": [], "startMode": "default",
    }  # fmt: skip
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def _longer_fov(cameras: Cameras) -> list[float]:
    """Fields of view along the longer side of the pictures, in degrees."""
    axis = 0 if cameras.width > cameras.height else 1
    half = 0.5 * max(cameras.width, cameras.height) / cameras.focal[:, axis]
    return torch.rad2deg(2 * half.double().atan()).tolist()


def is_supersplat_settings(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("animTracks"), list)


def parse_supersplat_settings(content: dict[str, Any], source: str, width: int, height: int) -> Cameras:
    """The keys of the first animation, one camera each.

    Raises:
        ValueError: malformed, or without an animation.
    """
    try:
        values = content["animTracks"][0]["keyframes"]["values"]
        places, targets, degrees = values["position"], values["target"], values["fov"]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{source}: expected an animation with keyframes in 'animTracks', got none") from error
    lists = (places, targets, degrees)
    if not all(isinstance(one, list) and all(map(is_number, one)) for one in lists):
        raise ValueError(f"{source}: expected lists of numbers as 'position', 'target' and 'fov', got {shortened(values)}")
    if not degrees or not len(places) == len(targets) == 3 * len(degrees) or not all(0.1 <= d <= 175 for d in degrees):
        raise ValueError(f"{source}: expected three numbers of 'position' and 'target' for each 'fov' of 0.1 to 175 degrees")
    turn = torch.tensor(TURN, dtype=torch.float64)
    at, to = (torch.tensor(one, dtype=torch.float64).view(-1, 3) * turn for one in (places, targets))
    focal = [0.5 * max(width, height) / math.tan(math.radians(0.5 * fov)) for fov in degrees]
    lenses = [Intrinsics(f, f, width / 2, height / 2, width, height) for f in focal]
    return intrinsics_to_cameras(rigid_inverse(look_at(at, to)), lenses, width, height, source)
