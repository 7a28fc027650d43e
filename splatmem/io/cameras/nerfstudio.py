"""nerfstudio's camera_path.json, as its viewer exports and loads it; ``splatmem.io.viewer_paths`` reads it."""

from __future__ import annotations

import json
import math
from pathlib import Path

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.conventions import cameras_to_opengl
from splatmem.io.atomic import atomic_path
from splatmem.io.y_up_cameras import fov_y


def save_nerfstudio_path(cameras: Cameras, file: Path, fps: float) -> None:
    """Writes OpenGL cam-to-world matrices with vertical fields of view, in the cameras' own world."""
    degrees, aspect = [math.degrees(angle) for angle in fov_y(cameras)], cameras.width / cameras.height
    entries = [
        {"camera_to_world": [value for row in pose for value in row], "fov": fov, "aspect": aspect}
        for pose, fov in zip(cameras_to_opengl(cameras).cpu().double().tolist(), degrees, strict=True)
    ]
    content = {
        "camera_type": "perspective",
        "render_width": cameras.width,
        "render_height": cameras.height,
        "default_fov": degrees[0],
        "fps": fps,
        "seconds": len(cameras) / fps,
        "is_cycle": False,
        "keyframes": [],
        "camera_path": entries,
    }
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
