"""A memory in Open3D: Gaussians as coloured points, the cameras that wrote it as frustums."""

from __future__ import annotations

import math
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.io.atomic import atomic_path
from splatmem.pixels import to_uint8

MAX_POINTS = 2_000_000
WINDOW = (1280, 800)
POINT_SIZE = 3.0  # pixels
SPACING = 0.006  # of the scene's reach, between points on a Gaussian: about a point's size in the first view
MAX_ACROSS = 12  # points along one side of a Gaussian at most
LARGEST = 3.0  # standard deviation of a Gaussian that is drawn, in units of the reach
FRUSTUM = 0.08  # size of a camera's
EYE = (0.2, -1.15, -1.3)  # of the first view, seen from the scene's middle, in units of its reach


def show_scene(gaussians: Gaussians, cameras: Sequence[Cameras], screenshot: Path | None) -> None:
    """Opens a window, or draws one picture into ``screenshot`` without a display.

    Args:
        cameras: to be drawn. Where there are any, the Gaussians are those that they saw, so that the picture leaves out
            surfaces that turn their backs to the viewer, and shows a room as if cut open.

    Raises:
        ValueError: Open3D is not installed or cannot draw here.
    """
    if screenshot is None and not _has_display():
        raise ValueError("there is no display to open a window on: give --screenshot FILE.png")
    if not len(gaussians):
        raise ValueError("the scene holds no Gaussians: there is nothing to show")
    open3d = _open3d()
    near, middle, reach = _scene_proper(gaussians)
    # In units of the reach around the middle, so that scenes of any unit and origin are drawn alike.
    shown = near.with_values(means=(near.means - middle) / reach, log_scales=near.log_scales - math.log(reach))
    eye = torch.tensor(EYE)
    facing = ((eye - shown.means) * shown.normals).sum(-1) > 0
    if cameras and screenshot is not None and facing.any():
        shown = shown.select(facing)
    geometries = [_points(open3d, shown, SPACING), *(_frustum(open3d, camera, middle, reach) for camera in cameras)]
    visualizer = open3d.visualization.Visualizer()
    if not visualizer.create_window("splatmem", *WINDOW, visible=screenshot is None):
        raise ValueError("Open3D could not open a window: drawing needs the Debian packages libgl1 and libegl1")
    try:
        for geometry in geometries:
            visualizer.add_geometry(geometry)
        _place_camera(visualizer, eye.double().numpy(), np.zeros(3))
        if screenshot is None:
            visualizer.run()
        else:
            visualizer.poll_events()
            visualizer.update_renderer()
            _save_picture(visualizer, screenshot)
    finally:
        visualizer.destroy_window()


def _has_display() -> bool:
    return sys.platform in ("win32", "darwin") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _open3d():
    # Mesa prints an error where this is missing, though it does without.
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise ValueError(
            f"Open3D cannot be loaded ({error}): pip install 'splatmem[inspect-cpu]', and apt-get install libusb-1.0-0"
        ) from error
    open3d.utility.set_verbosity_level(open3d.utility.VerbosityLevel.Error)
    return open3d


def _scene_proper(gaussians: Gaussians) -> tuple[Gaussians, Float[Tensor, "3"], float]:
    """The Gaussians without the far shell and giants, their middle, and how far most of them reach from it (never 0)."""
    gaussians = gaussians.to("cpu").detach()
    distance = (gaussians.means - _quantile(gaussians.means, 0.5)).norm(dim=-1)
    near = gaussians.select(distance <= 10 * _quantile(distance, 0.5))
    low, high = _quantile(near.means, 0.05, down=True), _quantile(near.means, 0.95)
    middle, reach = 0.5 * (low + high), 0.5 * float((high - low).norm())
    sizes = near.scales.amax(-1)
    size = float(_quantile(sizes, 0.5))
    if reach <= size:  # all in one place: drawn as one patch, whose points lie close to each other
        reach = size / (0.5 * MAX_ACROSS * SPACING)
    reach = max(reach, 1e-5 * float(middle.norm()), 1e-20)  # float32 cannot tell nearer places apart
    fitting = sizes <= LARGEST * reach
    return near.select(fitting) if fitting.any() else near, middle, reach


def _quantile(values: Float[Tensor, "n *c"], share: float, down: bool = False) -> Float[Tensor, "*c"]:
    """Along the first axis; between two values the larger one, or the smaller one if it is to round ``down``."""
    place = share * (len(values) - 1)
    return values.sort(dim=0).values[math.floor(place) if down else math.ceil(place)]


def _points(open3d, gaussians: Gaussians, spacing: float):
    means, colours = _spread(gaussians, spacing)
    step = max(1, -(-len(means) // MAX_POINTS))
    cloud = open3d.geometry.PointCloud()
    cloud.points = open3d.utility.Vector3dVector(means[::step].double().numpy())
    cloud.colors = open3d.utility.Vector3dVector(colours[::step].clamp(0, 1).double().numpy())
    return cloud


def _spread(gaussians: Gaussians, spacing: float) -> tuple[Float[Tensor, "p 3"], Float[Tensor, "p 3"]]:
    """Points and their colours: a grid on each Gaussian larger than ``spacing``, one standard deviation to each side."""
    sides = gaussians.scales[:, :2]
    across = (2 * sides.amax(-1) / spacing).round().clamp(1, MAX_ACROSS).int()
    points, colours = [], []
    for count in range(1, MAX_ACROSS + 1):
        some = gaussians.select(across == count)
        steps = (torch.arange(count) + 0.5) / count * 2 - 1
        grid = torch.cartesian_prod(steps, steps).view(-1, 1, 2) * sides[across == count]
        offsets = (some.rotations[None, :, :, :2] * grid[:, :, None]).sum(-1)
        points.append((some.means + offsets).reshape(-1, 3))
        colours.append(some.rgb.repeat(len(grid), 1))
    return torch.cat(points), torch.cat(colours)


def _frustum(open3d, camera: Cameras, middle: Float[Tensor, "3"], reach: float):
    """A camera's frustum in units of the reach around the middle."""
    pose = camera.world_to_cam[0].double().cpu()
    pose[:3, 3] = (pose[:3, :3] @ middle.double() + pose[:3, 3]) / reach
    lines = open3d.geometry.LineSet.create_camera_visualization(
        camera.width,
        camera.height,
        camera.intrinsics[0].double().numpy(),
        pose.numpy(),
        scale=FRUSTUM,
    )
    lines.paint_uniform_color((0.9, 0.2, 0.5))
    return lines


def _place_camera(visualizer, eye: np.ndarray, target: np.ndarray) -> None:
    """Looks from behind and above the first camera into the scene."""
    control = visualizer.get_view_control()
    parameters = control.convert_to_pinhole_camera_parameters()
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    extrinsic = np.eye(4)
    extrinsic[:3, :3], extrinsic[:3, 3] = rotation, -rotation @ eye
    parameters.extrinsic = extrinsic
    control.convert_from_pinhole_camera_parameters(parameters, allow_arbitrary=True)
    options = visualizer.get_render_option()
    options.point_size = POINT_SIZE
    options.light_on = False  # the colours are those of the photo, light included


def _save_picture(visualizer, file: Path) -> None:
    from PIL import Image

    picture = torch.from_numpy(np.array(visualizer.capture_screen_float_buffer(do_render=True)))
    with atomic_path(file) as temporary:
        Image.fromarray(to_uint8(picture)).save(temporary)
