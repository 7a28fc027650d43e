"""From a browser's camera to ours: what its canvas shows, and the film's frame in the middle of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import rigid_from
from splatmem.geometry.rotations import quats_to_rotations

BROWSER_SCALE = 3.0
"""The memory's scale in a browser's units of length. viser's keys walk two of its units a second: so one walks two thirds of
the scene's median depth, whatever the scene's own unit is."""
FOV_RANGE = (5.0, 150.0)  # degrees, horizontal, of the film's frame


@dataclass(frozen=True)
class View:
    """What a browser shows.

    Attributes:
        cam_to_world: ``[4, 4]``, float64.
        canvas: width and height, in pixels of the browser.
        fov_y: vertical field of view of the canvas, in radians.
        aspect: width by height of the film's frame, the largest of its shape in the middle of the canvas.
    """

    cam_to_world: Float[Tensor, "4 4"]
    canvas: tuple[int, int]
    fov_y: float
    aspect: float

    @staticmethod
    def of_browser(camera: Any, aspect: float, unit: float) -> View:
        """The view that viser's camera of a client has; ``unit`` is the browser's unit of length in the world's."""
        rotation = quats_to_rotations(torch.tensor(camera.wxyz, dtype=torch.float64))
        pose = rigid_from(rotation, unit * torch.tensor(camera.position, dtype=torch.float64))
        canvas = (max(1, camera.image_width), max(1, camera.image_height))
        return View(pose, canvas, float(camera.fov), aspect)

    @property
    def frame(self) -> tuple[float, float]:
        """Width and height of the film's frame, in pixels of the browser."""
        width, height = self.canvas
        return (width, width / self.aspect) if width / height < self.aspect else (height * self.aspect, height)

    @property
    def fov_x_degrees(self) -> float:
        """Horizontal field of view of the film's frame."""
        focal = 0.5 * self.canvas[1] / torch.tan(torch.tensor(0.5 * self.fov_y)).item()
        degrees = 2 * torch.rad2deg(torch.atan(torch.tensor(0.5 * self.frame[0] / focal))).item()
        return min(max(degrees, FOV_RANGE[0]), FOV_RANGE[1])

    def film_camera(self, width: int, height: int) -> Cameras:
        """The camera of the film's frame."""
        return Cameras.from_fov(self.cam_to_world[None], self.fov_x_degrees, width, height)

    def canvas_size(self, frame_width: int) -> tuple[int, int]:
        """Width and height of the canvas at a size at which the film's frame is ``frame_width`` pixels wide."""
        share = frame_width / self.frame[0]
        width, height = (max(1, round(side * share)) for side in self.canvas)
        return width, height

    def canvas_camera(self, frame_width: int) -> Cameras:
        """The camera of all that the canvas shows, of a size at which the film's frame is ``frame_width`` pixels wide."""
        frame = self.film_camera(frame_width, max(1, round(frame_width / self.aspect)))
        width, height = self.canvas_size(frame_width)
        intrinsics = frame.intrinsics.clone()
        intrinsics[:, 0, 2], intrinsics[:, 1, 2] = width / 2, height / 2
        return Cameras(frame.world_to_cam, intrinsics, width, height)

    def near(self, other: View, distance: float, degrees: float) -> bool:
        """Whether another view is nearly the same."""
        same_lens = abs(self.fov_x_degrees - other.fov_x_degrees) < 1.0
        return same_lens and self.same_pose(other, distance, degrees)

    def same_pose(self, other: View, distance: float, degrees: float) -> bool:
        """Whether another view is seen from nearly the same place in nearly the same direction."""
        moved = (self.cam_to_world[:3, 3] - other.cam_to_world[:3, 3]).norm().item()
        apart = (self.cam_to_world[:3, 2] - other.cam_to_world[:3, 2]).norm().item()  # exact where they are alike
        return moved <= distance and apart <= 2 * math.sin(math.radians(degrees) / 2)


def fov_y_of_canvas(canvas: tuple[int, int], aspect: float, fov_x_degrees: float) -> float:
    """Vertical field of view of a canvas, in radians, in whose middle a film's frame has a horizontal field of view."""
    view = View(torch.eye(4, dtype=torch.float64), canvas, 1.0, aspect)
    focal = 0.5 * view.frame[0] / torch.tan(torch.deg2rad(torch.tensor(0.5 * fov_x_degrees))).item()
    return 2 * torch.atan(torch.tensor(0.5 * canvas[1] / focal)).item()
