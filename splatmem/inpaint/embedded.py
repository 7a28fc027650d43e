"""The embedded inpainter: layout and colour at a small size by diffusion, detail from what was really seen."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.cameras import Cameras
from splatmem.inpaint.detail import add_detail
from splatmem.inpaint.layout import LayoutReading, RoomLayout
from splatmem.inpaint.protocol import FilledFrames, PartialFrames, ReferenceViews, keep_known
from splatmem.inpaint.rgbd_pipeline import RGBDInpaintPipeline
from splatmem.surface import surface_normals

SAMPLE_WIDTH = 64
SIZE_STEP = 4
DEFAULT_STEPS = 2


class EmbeddedInpainter:
    """Runs an ``RGBDInpaintPipeline`` on windows of any size."""

    window_frames = 4

    def __init__(self, pipeline: RGBDInpaintPipeline, *, steps: int = DEFAULT_STEPS, name: str = "embedded") -> None:
        self.pipeline, self.steps, self.name = pipeline, steps, name

    @staticmethod
    def from_pretrained(folder: Path, *, device: str = "cpu", steps: int | None = None) -> EmbeddedInpainter:
        pipeline = RGBDInpaintPipeline.from_pretrained(folder, torch_dtype=torch.float32).to(device)
        return EmbeddedInpainter(pipeline, steps=steps or DEFAULT_STEPS)

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        if partial.layout is None:
            raise ValueError("the embedded inpainter corrects a proposal: give PartialFrames a layout")
        windows = [
            self._fill(partial.frames(slice(i, i + self.window_frames)), partial.layout, generator)
            for i in range(0, len(partial), self.window_frames)
        ]
        rgb, depth = (torch.cat(parts) for parts in zip(*windows, strict=True))
        if reference is not None:
            made_guide = _surface_guide(depth, partial.cameras, partial.layout)
            seen_guide = _surface_guide(reference.depth, reference.cameras, partial.layout)
            rgb = add_detail(rgb, made_guide, reference.rgb, seen_guide, _sample_size(partial.cameras))
        return FilledFrames(keep_known(partial, rgb), torch.where(partial.known, partial.depth, depth))

    def _fill(
        self, partial: PartialFrames, layout: RoomLayout, generator: torch.Generator
    ) -> tuple[Float[Tensor, "t h w 3"], Float[Tensor, "t h w"]]:
        """One window of at most ``window_frames`` frames, without fine detail."""
        height, width = _sample_size(partial.cameras)
        proposal = layout.render(partial.cameras.resized(width, height))
        rgb, depth, known = _shrink(partial, height, width)
        small_rgb, small_depth = self.pipeline(
            proposal.rgb,
            proposal.depth,
            rgb,
            depth,
            known,
            torch.cat([proposal.position, proposal.direction], dim=-1),
            num_inference_steps=self.steps,
            generator=generator,
        )
        return _enlarge(small_rgb, small_depth, proposal, layout.render(partial.cameras))


def _surface_guide(depth: Float[Tensor, "t h w"], cameras: Cameras, layout: RoomLayout) -> Float[Tensor, "t h w 3"]:
    """What tells surfaces apart whose colours may be alike: height in the room, how level they are, and how far they
    stand in front of the room's sides. So a wall takes its detail from walls, not from the table before them."""
    solid = torch.where(torch.isfinite(depth), depth, 1e3)
    height = ((cameras.unproject(solid) @ layout.axes[1]) - layout.low[1]) / (layout.high[1] - layout.low[1])
    level = (surface_normals(depth, cameras) @ layout.axes[1]).abs()
    in_front = (layout.render(cameras).depth / solid).log().clamp(-1, 1)
    return torch.stack([height.clamp(-0.5, 1.5), level, in_front], dim=-1)


def _sample_size(cameras: Cameras) -> tuple[int, int]:
    """(height, width) of the diffusion's grid: fixed width, the frames' aspect ratio."""
    height = SAMPLE_WIDTH * cameras.height / cameras.width
    return max(SIZE_STEP, round(height / SIZE_STEP) * SIZE_STEP), SAMPLE_WIDTH


def _shrink(partial: PartialFrames, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Partial frames at the small size: means of the known pixels; known where they fill half a cell."""

    def area(x: Tensor) -> Tensor:
        return F.interpolate(x, size=(height, width), mode="area")

    known = partial.known[:, None].float()
    share = area(known)
    inverse = torch.where(partial.known, 1 / partial.depth.clamp_min(1e-4), 0.0)[:, None]
    rgb = area(partial.rgb.permute(0, 3, 1, 2) * known) / share.clamp_min(1e-4)
    depth = share / area(inverse).clamp_min(1e-6)
    return rgb.permute(0, 2, 3, 1), depth[:, 0], share[:, 0] >= 0.5


def _enlarge(
    rgb: Float[Tensor, "t h w 3"], depth: Float[Tensor, "t h w"], small: LayoutReading, large: LayoutReading
) -> tuple[Float[Tensor, "t H W 3"], Float[Tensor, "t H W"]]:
    """Full-size frames: the layout is drawn sharp, and only what the model changed of it is interpolated."""
    size = large.depth.shape[1:]

    def up(x: Tensor) -> Tensor:
        return F.interpolate(x, size=size, mode="bicubic", align_corners=False)

    change = up((rgb - small.rgb).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    stretch = up((depth / small.depth).log()[:, None])[:, 0].exp()
    return (large.rgb + change).clamp(0, 1), large.depth * stretch
