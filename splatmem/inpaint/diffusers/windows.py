"""What video models have in common that fill windows: sizes and lengths that they take, long windows in overlapping parts,
smaller ones when memory runs out, colours that are held to what is known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from splatmem.config import HardwareConfig, InpainterConfig
from splatmem.inpaint.captioner import Captioner
from splatmem.inpaint.colour_drift import without_drift
from splatmem.inpaint.depth_control import depth_pictures
from splatmem.inpaint.diffusers.budget import Budget, within_memory
from splatmem.inpaint.diffusers.crossfade import frames_of_lead, joined
from splatmem.inpaint.diffusers.sizes import WorkingSize
from splatmem.inpaint.diffusers.time_groups import PartOfWindow, checked_window, overlapping_parts, padded_length
from splatmem.inpaint.protocol import POOR_TRUST, FilledFrames, PartialFrames, ReferenceViews, keep_known
from splatmem.pixels import to_uint8

GREY = 0.5


class WindowInpainter(ABC):
    """Runs a pipeline that fills a video, part by part of a window.

    Attributes:
        default_window: frames that the model was trained on.
        overlap: frames that a part of a long window shares with the one before.
    """

    continuous = True
    reads_prompt = True
    default_window: int
    overlap: int

    def __init__(self, pipeline: Any, settings: InpainterConfig, hardware: HardwareConfig, device: str, name: str) -> None:
        self.pipeline, self.settings, self.hardware, self.device, self.name = pipeline, settings, hardware, device, name
        self.window_frames = checked_window(settings.window_frames or self.default_window, self.group)
        self.reference_views = 0
        self.budget = Budget(self.window_frames, settings.max_pixels)
        self.captioner: Captioner | None = None
        self._notes: list[str] = []
        pipeline.set_progress_bar_config(disable=True)

    @property
    @abstractmethod
    def group(self) -> int:
        """Frames that share a latent in time, after the first, which has one of its own."""

    @property
    @abstractmethod
    def cell(self) -> int:
        """Pixels along a side of a latent."""

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Of which the sides of a frame must be multiples."""

    @abstractmethod
    def read_prompt(self, prompt: str) -> dict[str, Any]:
        """The arguments by which the pipeline is told a prompt."""

    @abstractmethod
    def _fill_part(
        self, part: PartOfWindow, reference: ReferenceViews | None, words: dict[str, Any], generator: torch.Generator
    ) -> tuple[Float[Tensor, "t h w 3"], Float[Tensor, "g H W f"]]:
        """One run of the pipeline, on frames of a size that it takes; the frames, and the latents that its sampler came to."""

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        if self.captioner is not None:
            prompt = self.captioner.window_prompt(partial, prompt)
        words = self.read_prompt(prompt)
        before = self.budget
        (rgb, latents), self.budget = within_memory(
            lambda budget: self._fill(partial, reference, words, generator, budget),
            self.budget,
            lambda budget: int(np.prod(self._working_size(partial, budget).padded)),
            self.device,
            generator,
            self.hardware,
        )
        if self.budget != before:
            self._notes.append(memory_note(self.budget))
        return FilledFrames(keep_known(partial, rgb), None, latents, tuple(self._notes))

    def _fill(
        self,
        partial: PartialFrames,
        reference: ReferenceViews | None,
        words: dict[str, Any],
        generator: torch.Generator,
        budget: Budget,
    ) -> tuple[Float[Tensor, "t h w 3"], Float[Tensor, "g H W f"] | None]:
        """Fills the window in parts, of which each is given the last frames of the one before, and fades them out.

        Returns:
            The frames, and the latents that they were decoded from if the window was given as latents.
        """
        size = self._working_size(partial, budget)
        known, rgb = size.shrink_mask(partial.known), size.shrink_rgb(torch.where(partial.known[..., None], partial.rgb, GREY))
        trust = size.shrink_values(partial.trust)
        hole = torch.full_like(rgb, GREY)
        if partial.expected_depth is not None:
            hole = size.shrink_rgb(depth_pictures(partial.expected_depth))
        cameras = size.cell_cameras(partial.cameras, 1)
        made, sampled = torch.zeros(0, *rgb.shape[1:]), torch.zeros(0)
        parts = overlapping_parts(len(partial), budget.frames, self.overlap, self.group)
        remembered = known.clone()
        # What one part has filled is not in the memory yet, so the next part is given pixels. The same holds for a window whose
        # size differs from that of its latents, after memory ran out.
        grid = self._latent_grid(len(partial), size)
        latents = partial.latents if len(parts) == 1 else None
        latents = None if latents is None or tuple(latents.known.shape) != grid else latents
        for first, last in parts:
            done, here = len(made), slice(first, last)
            rgb[:done] = torch.where(remembered[:done, ..., None], rgb[:done], made)  # known pixels are not changed
            known[:done], trust[:done] = True, 1.0
            frames = PartOfWindow(
                rgb[here], known[here], trust[here], hole[here], cameras[here], latents, remembered[here],
                lead=rgb[max(0, first - frames_of_lead(budget.frames, self.group)) : first], shared=done - first,
            )  # fmt: skip
            part, sampled = self._fill_part(frames, reference, words, generator)
            if self.settings.match_colours:
                part = without_drift(part, frames.rgb, frames.known & (frames.trust >= POOR_TRUST))
            made = torch.cat([made[:first], joined(made[first:], part[: done - first]), part[done - first :]])
        return size.enlarge_rgb(made), None if latents is None else sampled

    def _sampling_options(self) -> dict[str, Any]:
        """Steps and guidance as the pipeline takes them, where the settings say something."""
        options = {"num_inference_steps": self.settings.steps, "guidance_scale": self.settings.guidance}
        return {name: value for name, value in options.items() if value is not None}

    def _latent_grid(self, frames: int, size: WorkingSize) -> tuple[int, int, int]:
        """Numbers of latents in time, rows and columns of a window."""
        height, width = size.padded
        return (padded_length(frames, self.group) - 1) // self.group + 1, height // self.cell, width // self.cell

    def _working_size(self, partial: PartialFrames, budget: Budget) -> WorkingSize:
        height, width = partial.known.shape[1:]
        return self._working_size_of(height, width, budget)

    def _working_size_of(self, height: int, width: int, budget: Budget) -> WorkingSize:
        return WorkingSize.of(height, width, self.multiple, min_pixels=self.settings.min_pixels, max_pixels=budget.pixels)


def as_picture(rgb: Float[Tensor, "h w 3"]) -> Image.Image:
    """Colours in 0..1 as pipelines take pictures."""
    return Image.fromarray(to_uint8(rgb))


def memory_note(budget: Budget) -> str:
    """What the report says of windows that did not fit into memory whole."""
    size = "" if budget.pixels is None else f" of at most {budget.pixels} pixels"
    return f"memory ran out: windows were filled in parts of {budget.frames} frames{size}"
