"""A scene that begins with wide pictures around its first view.

A picture inpainter is at its best where a picture goes on beside what it shows. So the first view is made wider; then views
that are turned to either side are filled, each beside what is known by then, until the turn closes. Only those are made that
the cameras will look at. Each is lifted by its depth into a memory of its own, as frames are in the loop. Windows take from
there what they do not know, and the rest is made as always.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.depth import DepthEstimator
from splatmem.explore.frames import write_frame
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.similarity import axis_rotation
from splatmem.inpaint import FilledFrames, PartialFrames, ReferenceViews, VideoInpainter
from splatmem.inpaint.migan.pictures import LONGEST, PictureFiller
from splatmem.inpaint.protocol import prepared
from splatmem.memory import SpatialMemory
from splatmem.timing import StageClock

WIDER, TALLER = 1.0, 0.6
"""By how much of its width and height the first view is made wider, both sides together."""
WIDE = 98.0
"""Degrees that each of the others shows, as the first does of a photo of 60 degrees."""
TURNED_LONGEST = 512
"""Pixels of the longer side of turned views; the first one, which lies beside the photo, has as many as the network takes."""
HELD = 0.42
"""Share of a turned view's width that is known before it is filled: with less, the network loses the place."""
CLOSING = 68.0
"""Degrees of the turn left to be made that one view closes, with something known at both of its sides."""
FEW = 0.005
"""Share of a frame that a view must show of what the frame lacks and no view before it shows, to be made for it."""
LOOKED_AT, LOOKED_AT_WIDTH = 48, 48
"""Frames of the path, and pixels of their width, in which is looked for what they lack."""
MIN_PIXELS = 16
"""A view with fewer unknown pixels is not written."""
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
    ready = prepared(inpainter, memory, cameras, seed)
    fill = _wide_filler(ready)
    return ready if fill is None else WideViewsFirst(ready, WideViews(memory, fill, estimate_depth), cameras)


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
    ready = prepared(inpainter, memory, cameras, seed)
    fill = _wide_filler(ready)
    if fill is None:
        return ready
    around = before.around if isinstance(before, WideViewsFirst) else WideViews(memory, fill, estimate_depth)
    return WideViewsFirst(ready, around, None)


def _wide_filler(inpainter: VideoInpainter) -> PictureFiller | None:
    return inpainter.fill_wide if isinstance(inpainter, WideningInpainter) else None


class WideViews:
    """A memory of what one shows and of those wide views around its first one that were looked at."""

    def __init__(self, memory: SpatialMemory, fill: PictureFiller, estimate_depth: DepthEstimator) -> None:
        """Args:
        memory: is not changed.
        fill: makes whole pictures.
        estimate_depth: tells their depth.
        """
        self.memory = replace(memory, views=list(memory.views))
        self.fill, self.estimate_depth = fill, estimate_depth
        self.views, self.made = wide_views(memory), set[int]()

    def make_for(self, cameras: Cameras) -> None:
        """Makes the views that show what some camera lacks, and those that come before them, if they are not made yet."""
        for index in sorted(self._looked_at(cameras)):
            camera = self.views[index].camera
            now = self.memory.read(camera)
            picture = self.fill(now.rgb[0], now.known[0])
            write_frame(
                self.memory, FilledFrames(picture[None]), 0, camera, MIN_PIXELS, self.estimate_depth, REFINE_STEPS, StageClock()
            )
            self.made.add(index)

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

    def __init__(self, inpainter: VideoInpainter, around: WideViews, cameras: Cameras | None) -> None:
        """Args:
        inpainter: makes the rest.
        around: the wide views.
        cameras: that will look at the scene: what they see is made with the first window. None: what each window sees.
        """
        self.inpainter, self.around, self.cameras = inpainter, around, cameras

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
        return self.inpainter(helped, generator=generator, prompt=prompt, reference=reference)


def wide_views(memory: SpatialMemory) -> list[WideView]:
    """The first view of a memory, wider, and others turned from it to the right and to the left until the turn closes."""
    assert memory.down is not None
    view = memory.views[0].camera
    first = _at_most(_with_margins(view), LONGEST)
    half = first.fov_x_degrees / 2
    turned = _with_fov(_at_most(first, TURNED_LONGEST), WIDE)
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


def _at_most(camera: Cameras, longest: int) -> Cameras:
    """The camera with pictures whose longer side has so many pixels at most."""
    share = longest / max(camera.width, camera.height)
    return camera if share >= 1 else camera.resized(round(share * camera.width), round(share * camera.height))


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
