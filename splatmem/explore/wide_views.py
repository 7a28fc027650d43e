"""A scene that begins with wide pictures around its first view.

A picture inpainter is at its best where a picture goes on beside what it shows. So the first view is made wider; then views
that are turned to either side are filled, each beside what is known by then, until the turn closes. In rooms the network
loses the place away from the photo, unless it is shown where floor and ceiling go on: there each of these views begins with the
edges of a plain room. A close-up does not show its place, and gets the first view alone. Only those views are made that the
cameras will look at. Each is lifted by its depth into a memory of its own, as frames are in the loop. Windows take from there
what they do not know. The rest is the plain room in rooms, and is made by another inpainter elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.depth import DepthEstimator, DepthPrediction
from splatmem.explore.frames import write_frame
from splatmem.extrapolate.plain_room import PlainRoom
from splatmem.extrapolate.surroundings import is_close_up, shows_open_air
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.distance import distance_inside
from splatmem.geometry.filters import dilate
from splatmem.geometry.push_pull import fill_gaps, push_pull
from splatmem.geometry.similarity import axis_rotation
from splatmem.inpaint import FilledFrames, PartialFrames, ReferenceViews, VideoInpainter
from splatmem.inpaint.migan.pictures import MOST_PIXELS, PictureFiller, shown_size
from splatmem.inpaint.protocol import prepared
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
SLIVERS = 0.06
"""Share of a window that the wide views leave open, up to which it is closed smoothly from around."""
LIGHTS = 1.2
"""How many times as bright or dark as the photo, in the mean, what is made may be."""
MOST_POWER = 1.6
"""By which power, or root, it is made darker or brighter for that, at most."""
POWER_REACH = 0.1
"""Of a view's width: how far from what is known that sets in."""
FEW = 0.005
"""Share of a frame that a view must show of what the frame lacks and no view before it shows, to be made for it."""
LOOKED_AT, LOOKED_AT_WIDTH = 48, 48
"""Frames of the path, and pixels of their width, in which is looked for what they lack."""
MIN_PIXELS = 16
"""A view with fewer unknown pixels is not written."""
OF_ROOMS = 3
"""How many of the views are made in rooms: what lies beyond the first one and its two neighbours is the plain room."""
BESIDE = 0.035
"""Share of a view's width beside what is known in which the network alone makes the room."""
TONE_REACH, TONE = 0.15, 0.25
"""Of a window's width: how far the plain room takes the colours of what is known beside it, where they differ by so much at
most: what differs more is a thing."""
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


@runtime_checkable
class WideningInpainter(Protocol):
    """An inpainter that makes windows better when wide views around the first one were made before.

    Attributes:
        fill_wide: makes these, if they are wanted.
    """

    fill_wide: PictureFiller | None


def ready_for_path(
    inpainter: VideoInpainter, memory: SpatialMemory, cameras: Cameras, seed: int, estimate_depth: DepthEstimator
) -> VideoInpainter:
    """An inpainter made ready for a scene and a path, with wide views around its first one if it wants them.

    Args:
        memory: what was given of the scene, and nothing that was made; it is not changed.
        cameras: that will look at it: what is made is the same in whichever order its windows come.
        seed: of what the inpainter prepares.
        estimate_depth: tells the depth of wide views.
    """
    fill = _wide_filler(inpainter)
    if fill is None:
        return prepared(inpainter, memory, cameras, seed)
    around = WideViews(memory, fill, estimate_depth, _room(memory, cameras))
    return WideViewsFirst(lambda: prepared(inpainter, memory, cameras, seed), around, cameras)


def ready_to_look(
    inpainter: VideoInpainter,
    memory: SpatialMemory,
    cameras: Cameras,
    seed: int,
    estimate_depth: DepthEstimator,
    before: VideoInpainter | None,
) -> VideoInpainter:
    """As ``ready_for_path``, where no path is known: each window has the wide views made that it sees.

    Args:
        cameras: that what the inpainter prepares leaves room for.
        before: what this gave for the scene before, whose wide views stay, if it did.
    """
    fill = _wide_filler(inpainter)
    if fill is None:
        return prepared(inpainter, memory, cameras, seed)
    if isinstance(before, WideViewsFirst):
        around = before.around
        around.room = _room(memory, cameras)
    else:
        around = WideViews(memory, fill, estimate_depth, _room(memory, cameras))
    return WideViewsFirst(lambda: prepared(inpainter, memory, cameras, seed), around, None)


def _wide_filler(inpainter: VideoInpainter) -> PictureFiller | None:
    return inpainter.fill_wide if isinstance(inpainter, WideningInpainter) else None


def _room(memory: SpatialMemory, cameras: Cameras) -> PlainRoom | None:
    return None if shows_open_air(memory) or is_close_up(memory) else PlainRoom.around(memory, cameras)


class WideViews:
    """A memory of what one shows and of those wide views around its first one that were looked at."""

    def __init__(
        self, memory: SpatialMemory, fill: PictureFiller, estimate_depth: DepthEstimator, room: PlainRoom | None
    ) -> None:
        """Args:
        memory: is not changed.
        fill: makes whole pictures.
        estimate_depth: tells their depth.
        room: what goes on where the memory shows a room; None in the open, and in a close-up.
        """
        self.memory = replace(memory, views=list(memory.views))
        self.fill, self.estimate_depth, self.room = fill, estimate_depth, room
        views = wide_views(memory)
        if room is not None:
            views = views[:OF_ROOMS]
        elif not shows_open_air(memory):
            views = views[:1]
        self.views, self.made = views, set[int]()
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

    def _picture(self, index: int) -> FilledFrames:
        """One view, whole."""
        camera, room = self.views[index].camera, self.room if index else None
        return self._beside_known(camera) if room is None else self._in_room(camera, room)

    def _beside_known(self, camera: Cameras) -> FilledFrames:
        """A view as the network makes it beside what is known."""
        now = self.memory.read(camera)
        picture = self.fill(now.rgb[0], now.known[0])
        return FilledFrames(_lit_alike(picture, now.known[0], self.brightness)[None])

    def _in_room(self, camera: Cameras, room: PlainRoom) -> FilledFrames:
        """The same where the network is shown the room's edges, at the depth of the room's sides."""
        now, plain = self.memory.read(camera), room.render(camera)
        known = now.known[0]
        apart = ~dilate(now.known, max(1, round(BESIDE * camera.width)))[0]
        told = known | (plain.edges[0] & apart)
        picture = self.fill(torch.where(known[..., None], now.rgb[0], plain.rgb[0]), told)
        return FilledFrames(picture[None], plain.depth)

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


class WideViewsFirst:
    """Fills windows of one scene from wide views around its first one, and what these do not show by another inpainter."""

    def __init__(self, prepare: Callable[[], VideoInpainter], around: WideViews, cameras: Cameras | None) -> None:
        """Args:
        prepare: gives what makes the rest; asked when it is needed for the first time.
        around: the wide views.
        cameras: that will look at the scene: what they see is made with the first window. None: what each window sees.
        """
        self.prepare_rest, self.around, self.cameras = prepare, around, cameras
        self._rest: VideoInpainter | None = None

    def make_ahead(self, pause: Callable[[], None]) -> tuple[int, int] | None:
        """Makes one of the things that windows will want: a wide view, or what makes the rest.

        Args:
            pause: called where this may be left off; what it raises loses nothing that was made.

        Returns:
            how many are made, and of how many; None if all were made before.
        """
        around = self.around
        missing = [index for index in range(len(around.views)) if index not in around.made]  # each comes after those before it
        wants_rest = around.room is None
        if not missing and (self._rest is not None or not wants_rest):
            return None
        if missing:
            around.make(missing[0], pause)
        else:
            self._rest = self.prepare_rest()
        return len(around.made) + (self._rest is not None), len(around.views) + wants_rest

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        if self.cameras is None:
            self.around.make_for(partial.cameras)
        elif not self.around.made:
            self.around.make_for(self.cameras)
        seen = self.around.memory.read(partial.cameras)
        helped = replace(
            partial, rgb=torch.where(partial.known[..., None], partial.rgb, seen.rgb), known=partial.known | seen.known,
            depth=torch.where(partial.known, partial.depth, seen.depth),
            trust=torch.where(partial.known, partial.trust, seen.trust),
        )  # fmt: skip
        if (~helped.known).float().mean() <= SLIVERS:
            return _closed(helped)
        if self.around.room is not None:
            return _with_room(helped, self.around.room)
        if self._rest is None:
            self._rest = self.prepare_rest()
        return self._rest(helped, generator=generator, prompt=prompt, reference=reference)


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


def _closed(partial: PartialFrames) -> FilledFrames:
    """Frames whose gaps take smoothly what is around them."""
    far = torch.isinf(partial.depth)
    inverse = torch.where(far, 0.0, 1 / partial.depth.clamp_min(1e-12))[:, None]
    maps = torch.cat([partial.rgb.permute(0, 3, 1, 2), inverse], dim=1)
    filled = fill_gaps(maps, partial.known)
    made = 1 / filled[:, 3]
    return FilledFrames(filled[:, :3].permute(0, 2, 3, 1).contiguous(), torch.where(partial.known, partial.depth, made))


def _with_room(partial: PartialFrames, room: PlainRoom) -> FilledFrames:
    """Frames that show the plain room where nothing is known, near what is known in its colours."""
    plain = room.render(partial.cameras)
    difference = partial.rgb - plain.rgb
    alike = partial.known & (difference.abs().amax(-1) < TONE)
    spread = push_pull(difference.permute(0, 3, 1, 2), alike[:, None].float()).permute(0, 2, 3, 1)
    away = torch.stack([distance_inside(~known) for known in partial.known]) / partial.cameras.width
    toned = plain.rgb + spread * torch.exp(-away / TONE_REACH)[..., None]
    rgb = torch.where(partial.known[..., None], partial.rgb, toned.clamp(0, 1))
    return FilledFrames(rgb, torch.where(partial.known, partial.depth, plain.depth))


def at_half_size(estimate_depth: DepthEstimator) -> DepthEstimator:
    """An estimator that is shown pictures at half their size, in half the time."""

    def estimate(images: Float[Tensor, "t h w 3"], *, fov_x_degrees: float | None = None) -> DepthPrediction:
        size = images.shape[1:3]
        half = F.interpolate(images.permute(0, 3, 1, 2), size=[(side + 1) // 2 for side in size], mode="area")
        told = estimate_depth(half.permute(0, 2, 3, 1), fov_x_degrees=fov_x_degrees)
        return replace(told, depth=F.interpolate(told.depth[:, None], size=size, mode="nearest-exact")[:, 0])

    return estimate


def wide_views(memory: SpatialMemory) -> list[WideView]:
    """The first view of a memory, wider, and others turned from it to the right and to the left until the turn closes."""
    assert memory.down is not None
    view = memory.views[0].camera
    first = _shown(_with_margins(view), MOST_PIXELS)
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
