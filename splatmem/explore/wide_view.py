"""A scene that begins with a wide picture around its first view.

A picture inpainter is at its best between what it is shown, and loses the place away from it. So the first view is made wider,
and along its sides the network is shown what lies beyond: in a room plain walls and a floor, in the open level ground under the
sky. It ends there what the photo cut off. The wide view is lifted by its depth into a memory of its own, as frames are in the
loop, and windows take from there what they do not know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.depth import DepthEstimator
from splatmem.explore.beyond import Beyond
from splatmem.explore.frames import write_frame
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import FilledFrames, PartialFrames
from splatmem.inpaint.migan.pictures import PictureFiller, shown_size
from splatmem.memory import SpatialMemory
from splatmem.timing import StageClock

WIDER, TALLER = 1.0, 0.6
"""By how much of its width and height the first view is made wider, both sides together."""
FARTHEST = 1e3
"""Distance at which the sky is taken to be, in units of the memory's scale."""
FEW = 0.005
"""Share of a frame that the wide view must show of what the frame lacks, to be made for it."""
LOOKED_AT, LOOKED_AT_WIDTH = 48, 48
"""Frames of the path, and pixels of their width, in which is looked for what they lack."""
MIN_PIXELS = 16
"""A view with fewer unknown pixels is not written."""
ENDS = 0.1, 0.07
"""Of the wide view's width, at each side, and of its height, above and below, where it shows what lies beyond it, and fades
into that."""
REFINE_STEPS = 2
"""Steps of conjugate gradients that fit the view: windows are fitted again when they are written."""


class WideView:
    """A memory of what one shows and, once it was looked at, of the wide view around its first view.

    Attributes:
        memory: of both.
        camera: of the wide view.
        made: whether the wide view is part of the memory.
        beyond: makes what lies beyond the wide view.
    """

    def __init__(self, memory: SpatialMemory, fill: PictureFiller, estimate_depth: DepthEstimator, beyond: Beyond) -> None:
        """Args:
        memory: is not changed.
        fill: makes whole pictures.
        estimate_depth: tells their depth.
        beyond: makes what lies beyond the wide view.
        """
        self.memory = replace(memory, views=list(memory.views))
        self.fill, self.estimate_depth, self.beyond = fill, estimate_depth, beyond
        self.camera, self.made = wide_camera(memory.views[0].camera), False
        self._filled: FilledFrames | None = None  # the whole picture, from when it is made until it is part of the memory

    def make_for(self, cameras: Cameras) -> None:
        """Makes the view if it shows what some camera lacks, and is not made yet."""
        if not self.made and self._is_looked_at(cameras):
            self.make()

    def make(self, pause: Callable[[], None] = lambda: None) -> None:
        """Makes the view.

        Args:
            pause: called between the picture and its depth. It may raise; the picture is then kept for the next time.
        """
        if self._filled is None:
            self._filled = self._picture()
            pause()
        write_frame(self.memory, self._filled, 0, self.camera, MIN_PIXELS, self.estimate_depth, REFINE_STEPS, StageClock())
        self._filled, self.made = None, True

    def inside(self, cameras: Cameras, depth: Float[Tensor, "t h w"]) -> Float[Tensor, "t h w"]:
        """How far inside of what was made surfaces lie: 0 where it ends and outside, 1 from ``ENDS`` on.

        Args:
            cameras: of ``t`` frames.
            depth: z-depth of the surfaces that they see.
        """
        if not self.made:
            return torch.zeros_like(depth)
        pixels, ahead = self.camera.project(cameras.unproject(depth.clamp_max(FARTHEST * self.memory.scale)))
        return torch.where(ahead[0] > 0, _from_sides(pixels[0], self.camera), 0.0).clamp(0, 1)

    def _picture(self) -> FilledFrames:
        now = self.memory.read(self.camera)
        known = now.known[0]
        beyond = self.beyond(PartialFrames(now.rgb, now.depth, now.known, now.trust, self.camera, None)).rgb[0]
        ends = _from_sides(_pixel_centres(self.camera), self.camera) < 1
        return FilledFrames(self.fill(torch.where(known[..., None], now.rgb[0], beyond), known | ends)[None])

    def _is_looked_at(self, cameras: Cameras) -> bool:
        some = cameras[:: max(1, len(cameras) // LOOKED_AT)].coarse(LOOKED_AT_WIDTH)
        missing = ~self.memory.coverage(some)[0]
        directions = some.world_rays()
        points = some.centers[:, None, None] + self.memory.scale * directions / directions.norm(dim=-1, keepdim=True)
        return bool((missing & self.camera.sees(points)[0]).flatten(1).float().mean(1).max() > FEW)


def wide_camera(camera: Cameras) -> Cameras:
    """A camera made wider, at the size at which the network is shown its picture: more pixels would hold no more."""
    margins = round(0.5 * WIDER * camera.width), round(0.5 * TALLER * camera.height)
    intrinsics = camera.intrinsics.clone()
    intrinsics[:, :2, 2] += torch.tensor(margins, dtype=intrinsics.dtype)
    width, height = camera.width + 2 * margins[0], camera.height + 2 * margins[1]
    shown_height, shown_width = shown_size(height, width)
    return replace(camera, intrinsics=intrinsics, width=width, height=height).resized(shown_width, shown_height)


def _from_sides(pixels: Float[Tensor, "*points 2"], camera: Cameras) -> Float[Tensor, "*points"]:
    """Distance of pixel coordinates from the nearest side of a view, in units of ``ENDS``; negative outside."""
    size = pixels.new_tensor([camera.width, camera.height])
    return (torch.minimum(pixels, size - pixels) / (size * size.new_tensor(ENDS))).amin(dim=-1)


def _pixel_centres(camera: Cameras) -> Float[Tensor, "h w 2"]:
    axes = (torch.arange(side) + 0.5 for side in (camera.width, camera.height))
    return torch.stack(torch.meshgrid(*axes, indexing="xy"), dim=-1)
