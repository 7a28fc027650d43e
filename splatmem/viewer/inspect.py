"""A memory in Open3D: Gaussians as coloured points, the cameras that wrote it as frustums."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from splatmem.cameras import Cameras
from splatmem.gaussians import Gaussians

MAX_POINTS = 400_000
WINDOW = (1280, 800)


def show_scene(gaussians: Gaussians, cameras: Sequence[Cameras], screenshot: Path | None) -> None:
    """Opens a window, or draws one picture into ``screenshot`` without a display.

    Raises:
        ValueError: Open3D is not installed or cannot draw here.
    """
    open3d = _open3d()
    geometries = [_points(open3d, gaussians), *(_frustum(open3d, c, gaussians) for c in cameras)]
    visualizer = open3d.visualization.Visualizer()
    if not visualizer.create_window("splatmem", *WINDOW, visible=screenshot is None):
        raise ValueError(
            "Open3D could not open a window: on a machine without a display give --screenshot FILE.png; "
            "drawing needs the Debian packages libgl1 and libegl1"
        )
    try:
        for geometry in geometries:
            visualizer.add_geometry(geometry)
        _place_camera(visualizer, gaussians)
        if screenshot is None:
            visualizer.run()
        else:
            visualizer.poll_events()
            visualizer.update_renderer()
            _save_picture(visualizer, screenshot)
    finally:
        visualizer.destroy_window()


def _open3d():
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise ValueError(
            f"Open3D cannot be loaded ({error}): pip install 'splatmem[inspect-cpu]', and apt-get install libusb-1.0-0"
        ) from error
    return open3d


def _near_points(gaussians: Gaussians) -> torch.Tensor:
    """Which Gaussians belong to the scene proper and not to the far shell."""
    distance = gaussians.means.norm(dim=-1)
    return distance <= 10 * distance.median()


def _points(open3d, gaussians: Gaussians):
    near = gaussians.select(_near_points(gaussians))
    step = max(1, len(near) // MAX_POINTS)
    cloud = open3d.geometry.PointCloud()
    cloud.points = open3d.utility.Vector3dVector(near.means[::step].double().numpy())
    cloud.colors = open3d.utility.Vector3dVector(near.rgb[::step].clamp(0, 1).double().numpy())
    cloud.normals = open3d.utility.Vector3dVector(near.normals[::step].double().numpy())
    return cloud


def _frustum(open3d, camera: Cameras, gaussians: Gaussians):
    size = 0.08 * float(gaussians.means.norm(dim=-1).median())
    lines = open3d.geometry.LineSet.create_camera_visualization(
        camera.width,
        camera.height,
        camera.intrinsics[0].double().numpy(),
        camera.world_to_cam[0].double().numpy(),
        scale=size,
    )
    lines.paint_uniform_color((0.9, 0.2, 0.5))
    return lines


def _place_camera(visualizer, gaussians: Gaussians) -> None:
    """Looks from behind and above the first camera into the scene."""
    reach = float(gaussians.means[_near_points(gaussians)].norm(dim=-1).quantile(0.9))
    control = visualizer.get_view_control()
    parameters = control.convert_to_pinhole_camera_parameters()
    eye, target = np.array([0.35, -0.9, -1.6]) * reach, np.array([0.0, 0.0, 0.2]) * reach
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    extrinsic = np.eye(4)
    extrinsic[:3, :3], extrinsic[:3, 3] = rotation, -rotation @ eye
    parameters.extrinsic = extrinsic
    control.convert_from_pinhole_camera_parameters(parameters, allow_arbitrary=True)
    options = visualizer.get_render_option()
    options.point_size = 2.5
    options.light_on = False  # the colours are those of the photo, light included


def _save_picture(visualizer, file: Path) -> None:
    from PIL import Image

    picture = np.asarray(visualizer.capture_screen_float_buffer(do_render=True))
    Image.fromarray((picture * 255).round().astype(np.uint8)).save(file)
