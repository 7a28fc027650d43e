"""A film's camera as an OpenUSD stage (.usda), for Houdini, Nuke, Blender and the like."""

from __future__ import annotations

from pathlib import Path

from splatmem.geometry.cameras import Cameras
from splatmem.io.atomic import atomic_path
from splatmem.io.usd_stage import add_camera, new_stage, require_usd


def save_usd_camera(cameras: Cameras, file: Path, fps: float) -> None:
    """Writes a stage with a camera, a time code a frame.

    Raises:
        ValueError: usd-core is not installed.
    """
    require_usd()
    stage = new_stage(fps)
    add_camera(stage, "/World/Camera", cameras)
    with atomic_path(file) as temporary:
        stage.GetRootLayer().Export(str(temporary))
