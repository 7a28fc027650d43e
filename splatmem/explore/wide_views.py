"""A scene that begins with wide pictures around its first view.

A picture inpainter is at its best between what it is shown, and loses the place away from it. So the first view is made wider,
and along its sides the network is shown what lies beyond: in a room plain walls and a floor, at a close-up what is out of
focus. It ends there what the photo cut off. In the open nothing is beyond: views that are turned to either side are filled as
well, each beside what is known by then, until the turn closes. Only those views are made that the cameras will look at. Each is
lifted by its depth into a memory of its own, as frames are in the loop, and windows take from there what they do not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.depth import DepthEstimator, DepthPrediction
from splatmem.explore.beyond import Beyond
from splatmem.explore.frames import write_frame
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.distance import distance_inside
from splatmem.geometry.similarity import axis_rotation
from splatmem.inpaint import FilledFrames, PartialFrames
from splatmem.inpaint.migan.pictures import MOST_PIXELS, PictureFiller, shown_size
from splatmem.memory import SpatialMemory
from splatmem.pixels import from_uint8
from splatmem.threads import side_by_side, torch_alone
from splatmem.timing import StageClock

WIDER, TALLER = 1.0, 0.6
"""By how much of its width and height the first view is made wider, both sides together."""
WIDE = 106.0
"""Degrees that each of the others shows: with these, a photo of 60 degrees has five views; with 98 it has six."""
TURNED_PIXELS = 131_072
"""Pixels that the network is shown of turned views; of the first one, which lies beside the photo, it is shown more."""
HELD = 0.4
"""Share of a turned view's width that is known before it is filled: with less, the network loses the place."""
CLOSING = 68.0
"""Degrees of the turn left to be made that one view closes, with something known at both of its sides."""
LIGHTS = 1.2
"""How many times as bright or dark as the photo, in the mean, what is made may be."""
MOST_POWER = 1.6
"""By which power, or root, it is made darker or brighter for that, at most."""
POWER_REACH = 0.1
"""Of a view's width: how far from what is known that sets in."""
FARTHEST = 1e3
"""Distance at which the sky is taken to be, in units of the memory's scale."""
FEW = 0.005
"""Share of a frame that a view must show of what the frame lacks and no view before it shows, to be made for it."""
LOOKED_AT, LOOKED_AT_WIDTH = 48, 48
"""Frames of the path, and pixels of their width, in which is looked for what they lack."""
MIN_PIXELS = 16
"""A view with fewer unknown pixels is not written."""
ENDS = 0.1, 0.07
"""Of the first view's width, at each side, and of its height, above and below, where it shows what lies beyond it, and fades
into that."""
REFINE_STEPS = 2
"""Steps of conjugate gradients that fit each view: windows are fitted again when they are written."""


@dataclass(frozen=True)
class WideView:
    """A view to be made.

    Attributes:
        camera: one camera.
        before: numbers of the views that must be made before, of which it shows a part.
    """

    camera: Cameras
    before: tuple[int, ...]


class WideViews:
    """A memory of what one shows and of those wide views around its first one that were looked at."""

    def __init__(
        self, memory: SpatialMemory, fill: PictureFiller, estimate_depth: DepthEstimator, beyond: Beyond | None
    ) -> None:
        """Args:
        memory: is not changed.
        fill: makes whole pictures.
        estimate_depth: tells their depth.
        beyond: makes what lies beyond the first view. None in the open: the views close the turn.
        """
        self.memory = replace(memory, views=list(memory.views))
        self.fill, self.estimate_depth, self.beyond = fill, estimate_depth, beyond
        self.views = wide_views(memory) if beyond is None else [WideView(first_wide_view(memory), ())]
        self.made = set[int]()
        self.brightness = float(from_uint8(memory.views[0].rgb).mean().clamp(0.01, 0.99))
        self._filled: dict[int, FilledFrames] = {}  # whole pictures of views that are made next, by their numbers

    def make_for(self, cameras: Cameras) -> None:
        """Makes the views that show what some camera lacks, and those that come before them, if they are not made yet."""
        for _, beside in groupby(sorted(self._looked_at(cameras)), lambda index: self.views[index].before):
            some = list(beside)
            if len(some) > 1:  # on both sides of one view: they do not see each other
                with torch_alone(max(self.views[index].camera.width * self.views[index].camera.height for index in some)):
                    self._filled = dict(zip(some, side_by_side(self._picture, some), strict=True))
            for index in some:
                self.make(index)

    def make(self, index: int, pause: Callable[[], None] = lambda: None) -> None:
        """Makes one view; those that come before it are made.

        Args:
            index: its number.
            pause: called between the picture and its depth. It may raise; the picture is then kept for the next time.
        """
        camera = self.views[index].camera
        if index not in self._filled:
            self._filled = {index: self._picture(index)}
            pause()
        filled = self._filled.pop(index)
        estimate_depth = self.estimate_depth if index == 0 else at_half_size(self.estimate_depth)
        write_frame(self.memory, filled, 0, camera, MIN_PIXELS, estimate_depth, REFINE_STEPS, StageClock())
        self.made.add(index)

    def inside(self, cameras: Cameras, depth: Float[Tensor, "t h w"]) -> Float[Tensor, "t h w"]:
        """How far inside of what was made surfaces lie: 0 where it ends and outside, 1 from ``ENDS`` on, and everywhere if the
        views close the turn.

        Args:
            cameras: of ``t`` frames.
            depth: z-depth of the surfaces that they see.
        """
        if self.beyond is None:
            return torch.ones_like(depth)
        if not self.made:
            return torch.zeros_like(depth)
        camera = self.views[0].camera
        pixels, ahead = camera.project(cameras.unproject(depth.clamp_max(FARTHEST * self.memory.scale)))
        return torch.where(ahead[0] > 0, _from_sides(pixels[0], camera), 0.0).clamp(0, 1)

    def _picture(self, index: int) -> FilledFrames:
        """One view, whole."""
        camera = self.views[index].camera
        now = self.memory.read(camera)
        rgb, known = now.rgb[0], now.known[0]
        if self.beyond is None:
            return FilledFrames(_lit_alike(self.fill(rgb, known), known, self.brightness)[None])
        beyond = self.beyond(PartialFrames(now.rgb, now.depth, now.known, now.trust, camera, None)).rgb[0]
        ends = _from_sides(_pixel_centres(camera), camera) < 1
        return FilledFrames(self.fill(torch.where(known[..., None], rgb, beyond), known | ends)[None])

    def _looked_at(self, cameras: Cameras) -> set[int]:
        """Numbers of views to be made."""
        some = cameras[:: max(1, len(cameras) // LOOKED_AT)].coarse(LOOKED_AT_WIDTH)
        missing = ~self.memory.coverage(some)[0]
        directions = some.world_rays()
        points = some.centers[:, None, None] + self.memory.scale * directions / directions.norm(dim=-1, keepdim=True)
        wanted: set[int] = set()
        for index, view in enumerate(self.views):
            sees = view.camera.sees(points)[0]
            if (missing & sees).flatten(1).float().mean(1).max() > FEW:
                wanted.add(index)
            missing &= ~sees
        for index in reversed(range(len(self.views))):  # those that come before another have lower numbers
            if index in wanted:
                wanted.update(self.views[index].before)
        return wanted - self.made


def first_wide_view(memory: SpatialMemory) -> Cameras:
    """The camera of the first view of a memory, made wider."""
    return _shown(_with_margins(memory.views[0].camera), MOST_PIXELS)


def wide_views(memory: SpatialMemory) -> list[WideView]:
    """The first view of a memory, wider, and others turned from it to the right and to the left until the turn closes."""
    assert memory.down is not None
    first = first_wide_view(memory)
    half = first.fov_x_degrees / 2
    turned = _with_fov(_shown(first, TURNED_PIXELS), WIDE)
    slope = math.tan(math.radians(WIDE / 2))
    beyond = math.degrees(math.atan((1 - 2 * HELD) * slope))
    views, edges, last = [WideView(first, ())], [half, half], [0, 0]
    side = 0
    while (left := 360.0 - sum(edges)) > CLOSING:
        angle = edges[side] + beyond
        views.append(WideView(_turned(turned, memory.down, angle if side == 0 else -angle), (last[side],)))
        edges[side], last[side] = angle + WIDE / 2, len(views) - 1
        side = 1 - side
    views.append(WideView(_turned(turned, memory.down, edges[0] + left / 2), tuple(last)))
    return views


def at_half_size(estimate_depth: DepthEstimator) -> DepthEstimator:
    """An estimator that is shown pictures at half their size, in half the time."""

    def estimate(images: Float[Tensor, "t h w 3"], *, fov_x_degrees: float | None = None) -> DepthPrediction:
        size = images.shape[1:3]
        half = F.interpolate(images.permute(0, 3, 1, 2), size=[(side + 1) // 2 for side in size], mode="area")
        told = estimate_depth(half.permute(0, 2, 3, 1), fov_x_degrees=fov_x_degrees)
        return replace(told, depth=F.interpolate(told.depth[:, None], size=size, mode="nearest-exact")[:, 0])

    return estimate


def _from_sides(pixels: Float[Tensor, "*points 2"], camera: Cameras) -> Float[Tensor, "*points"]:
    """Distance of pixel coordinates from the nearest side of a view, in units of ``ENDS``; negative outside."""
    size = pixels.new_tensor([camera.width, camera.height])
    return (torch.minimum(pixels, size - pixels) / (size * size.new_tensor(ENDS))).amin(dim=-1)


def _pixel_centres(camera: Cameras) -> Float[Tensor, "h w 2"]:
    axes = (torch.arange(side) + 0.5 for side in (camera.width, camera.height))
    return torch.stack(torch.meshgrid(*axes, indexing="xy"), dim=-1)


def _lit_alike(picture: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"], brightness: float) -> Float[Tensor, "h w 3"]:
    """A picture whose made pixels are not much darker or brighter, in the mean, than the scene's photo; the change grows with
    the distance from what is known. The network's pictures grow darker from view to view.

    Args:
        brightness: of the photo, the mean of its colours, in 0..1.
    """
    made = float(picture[~known].mean().clamp(0.01, 0.99)) if not known.all() else brightness
    wanted = min(max(made, brightness / LIGHTS), brightness * LIGHTS, 0.99)
    # A power keeps black and white where they are; a factor would burn out the sky between dark trees.
    power = min(max(math.log(wanted) / math.log(made), 1 / MOST_POWER), MOST_POWER)
    away = distance_inside(~known) / known.shape[1]
    return picture ** (power ** (1 - torch.exp(-away / POWER_REACH)))[..., None]


def _with_margins(camera: Cameras) -> Cameras:
    margins = round(0.5 * WIDER * camera.width), round(0.5 * TALLER * camera.height)
    intrinsics = camera.intrinsics.clone()
    intrinsics[:, :2, 2] += torch.tensor(margins, dtype=intrinsics.dtype)
    return replace(camera, intrinsics=intrinsics, width=camera.width + 2 * margins[0], height=camera.height + 2 * margins[1])


def _shown(camera: Cameras, most_pixels: int) -> Cameras:
    """The camera at the size at which the network is shown its picture: more pixels would hold no more."""
    height, width = shown_size(camera.height, camera.width, most_pixels)
    return camera.resized(width, height)


def _with_fov(camera: Cameras, fov_x_degrees: float) -> Cameras:
    """The camera with another focal length, its principal point in the middle."""
    focal = camera.width / 2 / math.tan(math.radians(fov_x_degrees / 2))
    intrinsics = torch.tensor([[focal, 0.0, camera.width / 2], [0.0, focal, camera.height / 2], [0.0, 0.0, 1.0]])
    return replace(camera, intrinsics=intrinsics[None].to(camera.intrinsics))


def _turned(camera: Cameras, down: Float[Tensor, "3"], right_degrees: float) -> Cameras:
    """The camera turned to the right about the vertical axis through it."""
    pose = camera.cam_to_world.clone()
    pose[0, :3, :3] = axis_rotation(down, right_degrees).to(pose) @ pose[0, :3, :3]
    return replace(camera, world_to_cam=torch.linalg.inv(pose))
