"""A whole turn around one place as a picture on an upright cylinder, and views of it.

Columns are azimuths at even steps, the first beside the last; rows are heights on the cylinder at even steps, so that upright
lines stay straight and what is level bends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.similarity import axis_rotation

STEEPEST = 1.2  # radians above or below the horizon that a row may lie


@dataclass(frozen=True)
class Cylinder:
    """The pixels of such a picture.

    Attributes:
        place: what azimuths are counted from, and around which axis.
        top, bottom: heights of the picture's ends on a cylinder of radius 1, below the horizon.
        width, height: of the picture, in pixels.
    """

    place: AzimuthRange
    top: float
    bottom: float
    width: int
    height: int

    @staticmethod
    def around(camera: Cameras, down: Float[Tensor, "3"], most_pixels: int, multiples: tuple[int, int]) -> Cylinder:
        """The turn around a camera: the heights that it shows, at about its own resolution.

        Args:
            camera: one camera.
            down: direction of gravity, a unit vector.
            most_pixels: of the picture.
            multiples: of which its width and height are multiples.
        """
        place = AzimuthRange.of(camera, down)
        inclinations = place.inclination(camera.centers[0] + camera.world_rays()[0])
        middle = inclinations[:, camera.width // 2].clamp(-STEEPEST, STEEPEST)
        top, bottom = math.tan(float(middle.min())), math.tan(float(middle.max()))
        shape = (2 * math.pi, bottom - top)
        pixels_a_unit = min(float(camera.focal.mean()), math.sqrt(most_pixels / (shape[0] * shape[1])))
        width, height = (
            max(multiple, math.floor(side * pixels_a_unit / multiple) * multiple)
            for side, multiple in zip(shape, multiples, strict=True)
        )
        return Cylinder(place, top, bottom, width, height)

    def turned(self, camera: Cameras, count: int) -> Cameras:
        """``count`` cameras like one, turned evenly about the cylinder's axis; the first is that one."""
        turns = torch.stack([axis_rotation(self.place.axes[1], 360 * index / count) for index in range(count)])
        poses = camera.cam_to_world.repeat(count, 1, 1)
        poses[:, :3, :3] = turns @ poses[:, :3, :3]
        return Cameras(torch.linalg.inv(poses), camera.intrinsics.repeat(count, 1, 1), camera.width, camera.height)

    def points(self) -> Float[Tensor, "h w 3"]:
        """Points in the world that the pixels show, one unit away from the axis."""
        azimuth = (torch.arange(self.width) + 0.5) * (2 * math.pi / self.width) - math.pi
        level = azimuth.sin()[:, None] * self.place.axes[0] + azimuth.cos()[:, None] * self.place.axes[2]
        heights = self.top + (torch.arange(self.height) + 0.5) / self.height * (self.bottom - self.top)
        return self.place.center + level[None] + heights[:, None, None] * self.place.axes[1]

    def of_views(
        self,
        cameras: Cameras,
        rgb: Float[Tensor, "v h w 3"],
        known: Bool[Tensor, "v h w"],
        trust: Float[Tensor, "v h w"],
    ) -> tuple[Float[Tensor, "H W 3"], Bool[Tensor, "H W"], Float[Tensor, "H W"]]:
        """Colours, what is known and trust of the picture, each pixel from the view that shows it nearest to its middle.

        Args:
            cameras: of ``v`` views from the cylinder's place.
            rgb, known, trust: what they show.
        """
        points = self.points()
        pixels, ahead = cameras.project(points)
        place = 2 * pixels / torch.tensor([cameras.width, cameras.height]) - 1
        inside = (ahead > 0) & (place.abs() <= 1).all(-1)
        off = torch.where(inside, place.square().sum(-1), torch.inf)
        best = off.argmin(0)
        maps = torch.cat([rgb.permute(0, 3, 1, 2), known[:, None].float(), trust[:, None]], dim=1)
        sampled = F.grid_sample(maps, place, mode="bilinear", padding_mode="border", align_corners=False)
        chosen = sampled.gather(0, best[None, None].expand(1, 5, -1, -1))[0]
        # A pixel beside the unknown has some of it in its colour.
        shown = inside.any(0) & (chosen[3] > 0.999)
        return chosen[:3].permute(1, 2, 0), shown, chosen[4] * shown

    def seen_by(self, cameras: Cameras, picture: Float[Tensor, "H W 3"]) -> Float[Tensor, "v h w 3"]:
        """What cameras at the cylinder's place see of its picture; above and below, its last rows go on."""
        rays = cameras.world_rays() @ self.place.axes.T
        side, down, ahead = rays.unbind(-1)
        column = (torch.atan2(side, ahead) + math.pi) / (2 * math.pi) * self.width
        row = (down / torch.hypot(side, ahead).clamp_min(1e-6) - self.top) / (self.bottom - self.top) * self.height
        wrapped = torch.cat([picture[:, -1:], picture, picture[:, :1]], dim=1)
        place = torch.stack([2 * (column + 1) / (self.width + 2) - 1, 2 * row / self.height - 1], dim=-1)
        maps = wrapped.permute(2, 0, 1)[None].expand(len(cameras), -1, -1, -1)
        seen = F.grid_sample(maps, place, mode="bicubic", padding_mode="border", align_corners=False)
        return seen.permute(0, 2, 3, 1).clamp(0, 1)
