"""A script that makes a camera in Blender and moves it along a film.

Blender's world has z up: x, y, z of ours become x, z, -y, as its importers do with .glb and .usd files of the same scene. Run
it with ``blender --python FILE``, or open it in Blender's text editor.
"""

from __future__ import annotations

from pathlib import Path

import torch

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.conventions import cameras_to_opengl
from splatmem.io.atomic import atomic_path

SENSOR = 36.0  # millimetres along the longer side
Z_UP = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, -1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
SCRIPT = '''"""A camera and its film, for Blender: blender --python THIS_FILE"""

import bpy
from mathutils import Matrix

WIDTH, HEIGHT, FPS = {width}, {height}, {fps}
SENSOR = {sensor}
FRAMES = [  # focal length in millimetres, shift, and the matrix of each frame
{frames}
]

scene = bpy.context.scene
scene.render.resolution_x, scene.render.resolution_y, scene.render.fps = WIDTH, HEIGHT, round(FPS)
scene.render.fps_base = round(FPS) / FPS
scene.frame_start, scene.frame_end = 1, len(FRAMES)
lens = bpy.data.cameras.new("film")
lens.sensor_fit, lens.sensor_width, lens.sensor_height = "{fit}", SENSOR, SENSOR
lens.clip_start, lens.clip_end = 0.01, 10000.0
camera = bpy.data.objects.new("film", lens)
camera.rotation_mode = "QUATERNION"
scene.collection.objects.link(camera)
scene.camera = camera
for number, (focal, shift_x, shift_y, matrix) in enumerate(FRAMES, start=1):
    lens.lens, lens.shift_x, lens.shift_y = focal, shift_x, shift_y
    camera.matrix_world = Matrix(matrix)
    for name in ("location", "rotation_quaternion"):
        camera.keyframe_insert(name, frame=number)
    for name in ("lens", "shift_x", "shift_y"):
        lens.keyframe_insert(name, frame=number)
'''


def save_blender_script(cameras: Cameras, file: Path, fps: float) -> None:
    """Writes the script; pixels count as square."""
    poses = torch.tensor(Z_UP, dtype=torch.float64) @ cameras_to_opengl(cameras).cpu().double()
    longer = max(cameras.width, cameras.height)
    rows = []
    for pose, lens in zip(poses.tolist(), cameras.intrinsics.double().tolist(), strict=True):
        (fx, _, cx), (_, _, cy), _ = lens
        shift = ((cameras.width / 2 - cx) / longer, (cy - cameras.height / 2) / longer)
        matrix = ", ".join("(" + ", ".join(f"{value:.9g}" for value in row) + ")" for row in pose)
        rows.append(f"    ({fx / longer * SENSOR:.9g}, {shift[0]:.9g}, {shift[1]:.9g}, ({matrix})),")
    fit = "HORIZONTAL" if cameras.width >= cameras.height else "VERTICAL"
    text = SCRIPT.format(
        width=cameras.width, height=cameras.height, fps=fps, sensor=SENSOR, fit=fit, frames="\n".join(rows)
    )  # fmt: skip
    with atomic_path(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
