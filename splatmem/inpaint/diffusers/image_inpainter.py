"""Frames filled one by one by any diffusers pipeline that fills the masked part of a picture.

A window has one frame: so each frame is filled when those before it are part of the memory, and sees in its known part what
they brought. What lies between such frames comes from the memory alone.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from splatmem.config import HardwareConfig, InpainterConfig
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.geometry.push_pull import push_pull
from splatmem.inpaint.captioner import Captioner
from splatmem.inpaint.colour_drift import without_drift
from splatmem.inpaint.depth_control import depth_pictures
from splatmem.inpaint.diffusers.around import can_go_around, columns_of, goes_around
from splatmem.inpaint.diffusers.budget import Budget, within_memory
from splatmem.inpaint.diffusers.controlnet import load_controlnet, with_controlnet
from splatmem.inpaint.diffusers.loading import loading_options
from splatmem.inpaint.diffusers.picture_contracts import INPAINTING_SIBLINGS, contract_of
from splatmem.inpaint.diffusers.revise import FREE, HeldLatents, LastLatents, allowed_in_cells, allowed_noise, prepare_scheduler
from splatmem.inpaint.diffusers.sizes import WorkingSize, over_cells, whole_cells
from splatmem.inpaint.diffusers.windows import as_picture
from splatmem.inpaint.protocol import POOR_TRUST, FilledFrames, LatentFrames, PartialFrames, ReferenceViews, keep_known
from splatmem.models.hardware import place
from splatmem.models.parts import pipeline_index

SMALLEST_MULTIPLE = 16
TURN_PIXELS = 1024 * 1024  # of a picture of a whole turn, at most, where the settings say nothing
LATENTS_IN_TOKEN = 2  # along a side, of samplers that pack them
AUTOENCODERS_OF_VIDEO = ("AutoencoderKLQwenImage",)  # a picture is a video of one frame for them


class ImageInpainter:
    """Runs a picture inpainting pipeline: Stable Diffusion (XL, 3), Flux Fill, Flux 2 klein, Z-Image, Qwen-Image, and what else
    takes image and mask."""

    continuous = False
    reads_prompt = True
    window_frames = 1

    def __init__(self, pipeline: Any, settings: InpainterConfig, hardware: HardwareConfig, device: str, name: str) -> None:
        place(pipeline, hardware, device)
        self.pipeline, self.settings, self.hardware, self.device, self.name = pipeline, settings, hardware, device, name
        self.contract = contract_of(type(pipeline).__name__)
        self.reference_views = int(self.contract.reference is not None and settings.references > 0)
        limits = [limit for limit in (settings.max_pixels, self.contract.most_pixels) if limit is not None]
        self.budget = Budget(1, min(limits, default=None))
        self.captioner: Captioner | None = None
        self._notes: list[str] = []
        self._options = self._known_options()
        self.revising = settings.revise > 0 and can_revise(pipeline)
        if settings.revise > 0 and not self.revising:
            self._notes.append(
                f"{type(pipeline).__name__} cannot start from partial noise: what is known but poor is kept as it is"
            )
        self.reads_latents = settings.conditioning == "latents" and can_read_latents(pipeline)
        if settings.conditioning == "latents" and not self.reads_latents:
            self._notes.append(f"{type(pipeline).__name__} cannot be shown latents: what is known is encoded for every frame")
        self._grey = torch.zeros(0)
        pipeline.set_progress_bar_config(disable=True)

    @staticmethod
    def from_pretrained(
        folder: Path, settings: InpainterConfig, hardware: HardwareConfig, device: str, dtype: torch.dtype
    ) -> ImageInpainter:
        """Loads a saved pipeline: as the class it was saved as if that takes image and mask, else as its inpainting sibling.

        Raises:
            ValueError: it is no pipeline for pictures that has one.
        """
        import diffusers

        options = loading_options(folder, settings, dtype)
        steered = settings.control == "depth"
        class_name = str(pipeline_index(folder).get("_class_name"))
        wanted = INPAINTING_SIBLINGS.get(class_name, class_name)
        if settings.controlnet is not None:
            wanted = with_controlnet(class_name)
            options["controlnet"] = load_controlnet(settings.controlnet, dtype)
        saved_as = getattr(diffusers, wanted, None)
        processor = contract_of(wanted).processor
        if processor is not None:
            options["processor"] = processor(folder / "processor")
        if saved_as is not None and fills_pictures(saved_as, steered):
            pipeline = saved_as.from_pretrained(folder, **options)
        elif settings.controlnet is not None:
            raise ValueError(f"{folder}: diffusers has no pipeline that fills pictures with a ControlNet for a {class_name}")
        else:
            try:
                pipeline = diffusers.AutoPipelineForInpainting.from_pretrained(folder, **options)
            except ValueError as error:
                raise ValueError(f"{folder}: diffusers has no inpainting pipeline for a {class_name}") from error
            if not fills_pictures(type(pipeline), steered):
                raise ValueError(f"{folder}: {_unlike_control(type(pipeline), steered)}")
        return ImageInpainter(pipeline, settings, hardware, device, Path(settings.model).name)

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
        place = None if reference is None or self.reference_views == 0 else as_picture(reference.rgb[0])
        if len(partial) == 1:
            rgb, latents = self._fill(partial, prompt, place, generator)
            return FilledFrames(keep_known(partial, rgb), None, latents, tuple(self._notes))
        frames = [self._fill(partial.frames(slice(i, i + 1)), prompt, place, generator)[0] for i in range(len(partial))]
        return FilledFrames(keep_known(partial, torch.cat(frames)), notes=tuple(self._notes))

    @property
    def fills_turns(self) -> bool:
        """Whether the networks can be made to go around: those whose layers know no place can; see ``goes_around``."""
        return can_go_around(self.pipeline) and self.settings.control == "none" and not self.reads_latents

    def turn_sizes(self) -> tuple[int, tuple[int, int]]:
        """See ``TurnInpainter.turn_sizes``."""
        return self.budget.pixels or TURN_PIXELS, (self._cell * columns_of(self.pipeline), SMALLEST_MULTIPLE)

    def fill_turn(
        self,
        rgb: Float[Tensor, "h w 3"],
        known: Bool[Tensor, "h w"],
        trust: Float[Tensor, "h w"],
        *,
        generator: torch.Generator,
        prompt: str = "",
    ) -> Float[Tensor, "h w 3"]:
        """See ``TurnInpainter.fill_turn``."""
        height, width = known.shape
        unused = identity_camera(90.0, width, height)  # no camera sees a whole turn, and what fills it asks for none
        partial = PartialFrames(rgb[None], torch.ones(1, height, width), known[None], trust[None], unused)
        size = WorkingSize((height, width), (height, width), (height, width))
        with goes_around(self.pipeline):
            made, _ = self._fill_at(size, partial, prompt, None, generator)
        return keep_known(partial, made)[0]

    def _fill(
        self, partial: PartialFrames, prompt: str, place: Image.Image | None, generator: torch.Generator
    ) -> tuple[Float[Tensor, "1 h w 3"], Float[Tensor, "1 H W f"] | None]:
        if self.contract.fixed_sides is not None:  # no other size would need less memory
            return self._fill_at(self._working_size(partial, self.budget), partial, prompt, place, generator)
        before = self.budget
        made, self.budget = within_memory(
            lambda budget: self._fill_at(self._working_size(partial, budget), partial, prompt, place, generator),
            self.budget,
            lambda budget: int(np.prod(self._working_size(partial, budget).padded)),
            self.device,
            generator,
            self.hardware,
        )
        if self.budget != before:
            self._notes.append(f"memory ran out: frames were filled at {self.budget.pixels} pixels and enlarged")
        return made

    def _fill_at(
        self,
        size: WorkingSize,
        partial: PartialFrames,
        prompt: str,
        place: Image.Image | None,
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "1 h w 3"], Float[Tensor, "1 H W f"] | None]:
        """One frame at a size that the model takes; and the latents that it was made of, if it was shown latents."""
        known, trust = size.shrink_mask(partial.known), size.shrink_values(partial.trust)
        # Smooth colours in the hole: samplers that do not start from pure noise begin with them.
        rgb = size.shrink_rgb(push_pull(partial.rgb.permute(0, 3, 1, 2), partial.known[:, None].float()).permute(0, 2, 3, 1))
        height, width = size.padded
        grid = (1, height // self._cell, width // self._cell)
        # At another size than its latents were read for, when memory has run out, the frame is shown in pixels.
        latents = partial.latents if partial.latents is not None and tuple(partial.latents.known.shape) == grid else None
        wanted = ~known | ((trust < POOR_TRUST) & self.revising)
        # The pipelines look the mask of a cell, or of a token, up in some of its pixels.
        token = self.contract.latents_in_token
        cells = over_cells(~whole_cells(~wanted, token * self._cell), token)
        if latents is not None:
            cells |= latents.missing(self.revising)
        options = {**self._options, "image": as_picture(rgb[0])}
        if place is not None and self.contract.reference is not None:
            options[self.contract.reference] = place
        if partial.expected_depth is not None:
            options["control_image"] = as_picture(size.shrink_rgb(depth_pictures(partial.expected_depth))[0])
        last = LastLatents(self._held_latents(rgb, known, trust, latents, generator) if self.revising else None)
        if latents is not None:
            options |= self._in_latents(latents, cells)
        if self.revising or latents is not None:
            options["callback_on_step_end"] = last
        result = self.pipeline(
            prompt=prompt,
            mask_image=Image.fromarray(over_cells(cells, self._cell)[0].byte().numpy() * 255),
            height=height,
            width=width,
            generator=generator,
            output_type="np",
            **options,
        )
        made = torch.from_numpy(np.asarray(result.images[0], dtype=np.float32))[None]
        if self.settings.match_colours:
            made = without_drift(made, rgb, known & (trust >= POOR_TRUST))
        return size.enlarge_rgb(made), None if latents is None else last.latents.permute(0, 2, 3, 1).float().cpu()

    def _in_latents(self, latents: LatentFrames, wanted: Bool[Tensor, "1 h w"]) -> dict[str, Tensor]:
        """What the pipeline would encode: the picture, and the picture with a grey hole."""
        known, grey = latents.features.permute(0, 3, 1, 2), self._grey_latents(latents)
        return {
            "image": torch.where(latents.known[:, None], known, grey),
            "masked_image_latents": torch.where(wanted[:, None], grey, known),
        }

    @torch.no_grad()
    def _held_latents(
        self,
        rgb: Float[Tensor, "1 h w 3"],
        known: Bool[Tensor, "1 h w"],
        trust: Float[Tensor, "1 h w"],
        shown: LatentFrames | None,
        generator: torch.Generator,
    ) -> HeldLatents:
        prepare_scheduler(self.pipeline.scheduler, self._options.get("num_inference_steps", 1000))
        packed = packs_latents(self.pipeline)
        held = self._cell * (LATENTS_IN_TOKEN if packed else 1)
        allowed = allowed_in_cells(allowed_noise(known, trust, self.settings.revise), held, 1)
        if shown is not None:
            latents, allowed = shown.features.permute(0, 3, 1, 2), torch.where(shown.known, allowed, FREE)
        else:
            latents = self._encoded(rgb, generator)
        if packed:
            latents, allowed = _packed(self.pipeline, latents), allowed.flatten(1)[0, :, None]
        return HeldLatents(latents, torch.randn(latents.shape, generator=generator), allowed[None])

    def latent_cameras(self, cameras: Cameras) -> Cameras:
        """One camera for each latent in time, with one pixel for each latent cell; see ``LatentInpainter.latent_cameras``."""
        return self._working_size_of(cameras.height, cameras.width, self.budget).cell_cameras(cameras, self._cell)

    def latent_frames(self, frames: int) -> list[int]:
        """The frames of a window, by number, that stand for its latents in time: all of them."""
        return list(range(frames))

    def encode(self, rgb: Float[Tensor, "h w 3"]) -> Float[Tensor, "H W f"]:
        """The latents of one picture on the grid of ``latent_cameras``, scaled as in the sampler."""
        size = self._working_size_of(rgb.shape[0], rgb.shape[1], self.budget)
        return self._encoded(size.shrink_rgb(rgb[None]), torch.Generator().manual_seed(0))[0].permute(1, 2, 0)

    @torch.no_grad()
    def _encoded(self, rgb: Float[Tensor, "1 H W 3"], generator: torch.Generator) -> Float[Tensor, "1 f h w"]:
        """Latents as the sampler has them, in the pipeline's own way: some autoencoders overflow in half precision."""
        picture = (2 * rgb.permute(0, 3, 1, 2) - 1).to(self.pipeline._execution_device, self.pipeline.vae.dtype)
        vae = self.pipeline.vae
        if type(vae).__name__ in AUTOENCODERS_OF_VIDEO:
            return self.pipeline._encode_vae_image(picture[:, :, None], generator=generator)[:, :, 0].float().cpu()
        if hasattr(self.pipeline, "_encode_vae_image"):
            return self.pipeline._encode_vae_image(picture, generator=generator).float().cpu()
        latents = vae.encode(picture).latent_dist.mode().float().cpu()
        return (latents - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor

    def _grey_latents(self, like: LatentFrames) -> Float[Tensor, "1 f h w"]:
        _, rows, columns = like.known.shape
        if tuple(self._grey.shape[2:]) != (rows, columns):
            grey = torch.full((1, rows * self._cell, columns * self._cell, 3), 0.5)
            self._grey = self._encoded(grey, torch.Generator().manual_seed(0))
        return self._grey

    @property
    def _cell(self) -> int:
        """Pixels along a side of a latent cell."""
        return getattr(self.pipeline, "vae_scale_factor", 8)

    def _working_size(self, partial: PartialFrames, budget: Budget) -> WorkingSize:
        height, width = partial.known.shape[1:]
        return self._working_size_of(height, width, budget)

    def _working_size_of(self, height: int, width: int, budget: Budget) -> WorkingSize:
        if self.contract.fixed_sides is not None:
            return WorkingSize.fixed(height, width, self.contract.fixed_sides)
        multiple = max(SMALLEST_MULTIPLE, 2 * self._cell)
        return WorkingSize.of(height, width, multiple, min_pixels=self.settings.min_pixels, max_pixels=budget.pixels)

    def _known_options(self) -> dict[str, Any]:
        """The settings that are given and that this pipeline takes; the unknown starts from all of the noise, where many
        pipelines would start from a part, of colours that are only smeared there."""
        asked = {
            "strength": 1.0,
            "num_inference_steps": self.settings.steps,
            self.contract.guidance: self.settings.guidance,
            "negative_prompt": self.settings.negative_prompt or (" " if self.contract.needs_negative else None),
            "controlnet_conditioning_scale": self.settings.control_strength,
        }
        taken = _parameters(type(self.pipeline))
        return {name: value for name, value in asked.items() if value is not None and name in taken}


def fills_pictures(pipeline_class: type, steered: bool = False) -> bool:
    """Whether a diffusers pipeline takes a picture of any size and a mask, and needs nothing else that is to be seen, but for a
    control picture if it is to be steered by one."""
    taken = _parameters(pipeline_class)
    return {"image", "mask_image", "height", "width"} <= taken and ("control_image" in taken) == steered


def _unlike_control(pipeline_class: type, steered: bool) -> str:
    """Why a pipeline cannot be used as the settings have it."""
    name, taken = pipeline_class.__name__, "control_image" in _parameters(pipeline_class)
    if taken and not steered:
        return f"a {name} wants a control picture too: give --set inpainter.control=depth"
    if steered and not taken:
        return f"a {name} takes no control picture: give a ControlNet of its family, --set inpainter.controlnet=DIR_OR_ID"
    return f"a {name} wants more than a picture, a mask and words"


def can_revise(pipeline: Any) -> bool:
    """Whether latents can be held between the steps: the pipeline asks after each, and a picture can be encoded."""
    return (
        "callback_on_step_end" in _parameters(type(pipeline))
        and hasattr(pipeline, "vae")
        and (hasattr(pipeline, "_encode_vae_image") or type(pipeline.vae).__name__ == "AutoencoderKL")
    )


def packs_latents(pipeline: Any) -> bool:
    """Whether its sampler has tokens of two by two latents instead of a picture of them, as Flux and Qwen-Image do."""
    return hasattr(pipeline, "_pack_latents")


def _packed(pipeline: Any, latents: Float[Tensor, "1 f h w"]) -> Float[Tensor, "1 n c"]:
    """Latents as the sampler has its tokens, row by row."""
    if len(inspect.signature(pipeline._pack_latents).parameters) == 1:  # two by two are together already
        return pipeline._pack_latents(latents)
    return pipeline._pack_latents(latents, *latents.shape)


def can_read_latents(pipeline: Any) -> bool:
    """Whether pictures can be given as latents: of Stable Diffusion's kind, with four channels, and with the hole cut out."""
    return (
        can_revise(pipeline)
        and not packs_latents(pipeline)
        and "masked_image_latents" in _parameters(type(pipeline))
        and pipeline.vae.config.latent_channels == 4
    )


def _parameters(pipeline_class: type) -> set[str]:
    """Names of what a pipeline is called with; a class that is no pipeline has none."""
    from diffusers import DiffusionPipeline

    known = isinstance(pipeline_class, type) and issubclass(pipeline_class, DiffusionPipeline)
    return set(inspect.signature(pipeline_class.__call__).parameters) if known else set()
