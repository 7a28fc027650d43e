"""One photo and a camera path in; a film in which nothing vanishes and a 3D Gaussian splat scene out.

The names below are loaded when they are first used, so that ``import splatmem`` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from splatmem.depth import load_depth_estimator
    from splatmem.gaussians import Gaussians
    from splatmem.geometry.cameras import Cameras, identity_camera
    from splatmem.inpaint import load_inpainter
    from splatmem.io.photo import load_photo
    from splatmem.io.ply import load_ply, save_ply
    from splatmem.jobs.flyaround import FlyaroundOptions
    from splatmem.memory import MemoryReading, SpatialMemory
    from splatmem.memory.session import load_session, save_session
    from splatmem.trajectory.presets import make_path

_HOMES = {
    "Cameras": "geometry.cameras",
    "FlyaroundOptions": "jobs.flyaround",
    "Gaussians": "gaussians",
    "MemoryReading": "memory",
    "SpatialMemory": "memory",
    "identity_camera": "geometry.cameras",
    "load_depth_estimator": "depth",
    "load_inpainter": "inpaint",
    "load_photo": "io.photo",
    "load_ply": "io.ply",
    "load_session": "memory.session",
    "make_path": "trajectory.presets",
    "save_ply": "io.ply",
    "save_session": "memory.session",
}

__all__ = [
    "Cameras",
    "FlyaroundOptions",
    "Gaussians",
    "MemoryReading",
    "SpatialMemory",
    "identity_camera",
    "load_depth_estimator",
    "load_inpainter",
    "load_photo",
    "load_ply",
    "load_session",
    "make_path",
    "save_ply",
    "save_session",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'splatmem' has no attribute {name!r}")
    return getattr(importlib.import_module(f"splatmem.{_HOMES[name]}"), name)
