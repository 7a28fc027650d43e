"""Windows of video filled by Wan VACE ("VACE: All-in-One Video Creation and Editing", Jiang et al. 2025) through diffusers.

What the pipeline needs and does not do itself happens here: sides that are multiples of 16, 4k + 1 frames, mid-grey in the
hole (or depth, by which the model is steered there), masks that hold for whole latent time groups, long windows in overlapping
parts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.config import HardwareConfig, InpainterConfig
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint.diffusers.crossfade import decoded, encoded, shares_of_part_before
from splatmem.inpaint.diffusers.loading import loading_options
from splatmem.inpaint.diffusers.lora import add_loras
from splatmem.inpaint.diffusers.revise import FREE, HeldLatents, allowed_in_cells, allowed_noise, prepare_scheduler
from splatmem.inpaint.diffusers.sizes import whole_cells
from splatmem.inpaint.diffusers.time_groups import PartOfWindow, grow_over_groups, padded_length
from splatmem.inpaint.diffusers.windows import GREY, WindowInpainter, as_picture
from splatmem.inpaint.protocol import LatentFrames, ReferenceViews
from splatmem.models.hardware import bound_autoencoder, place, release, store_small
from splatmem.models.load import quiet

MAX_PROMPT_TOKENS = 512
KEPT_PROMPTS = 16  # encoded ones; each takes some megabytes of the device


class WanVACEInpainter(WindowInpainter):
    """Runs a ``WanVACEPipeline``, of Wan 2.1 or, with two transformers, of Wan 2.2."""

    default_window = 81
    overlap = 9  # the first and two latent groups

    def __init__(self, pipeline: Any, settings: InpainterConfig, hardware: HardwareConfig, device: str, name: str) -> None:
        super().__init__(pipeline, settings, hardware, device, name)
        self.reference_views = settings.references
        self.reads_latents = settings.conditioning == "latents"
        self.load_text_encoder: Callable[[], Any] | None = None
        self._embeddings: dict[str, dict[str, Tensor]] = {}
        self._placed = False
        self._grey = torch.zeros(0)
        bound_autoencoder(pipeline, hardware)

    @property
    def group(self) -> int:
        return self.pipeline.vae_scale_factor_temporal

    @property
    def cell(self) -> int:
        return self.pipeline.vae_scale_factor_spatial

    @property
    def multiple(self) -> int:
        transformer = self.pipeline.transformer or self.pipeline.transformer_2
        return self.cell * transformer.config.patch_size[1]

    @staticmethod
    def from_pretrained(
        folder: Path, settings: InpainterConfig, hardware: HardwareConfig, device: str, dtype: torch.dtype
    ) -> WanVACEInpainter:
        """Loads a saved pipeline; its autoencoder always computes in float32, as diffusers recommends for this model."""
        from splatmem.inpaint.diffusers.vace_pipeline import MemoryVACEPipeline

        pipeline = MemoryVACEPipeline.from_pretrained(
            folder, **loading_options(folder, settings, {"default": dtype, "vae": torch.float32})
        )
        add_loras(pipeline, settings.loras)
        inpainter = WanVACEInpainter(pipeline, settings, hardware, device, Path(settings.model).name)
        kind = type(pipeline.text_encoder)

        @quiet()
        def load_text_encoder() -> Any:
            return kind.from_pretrained(folder / "text_encoder", dtype=dtype, use_safetensors=True, trust_remote_code=False)

        inpainter.load_text_encoder = load_text_encoder
        return inpainter

    def _fill_part(
        self,
        part: PartOfWindow,
        reference: ReferenceViews | None,
        words: dict[str, Any],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "t h w 3"], Float[Tensor, "g H W f"]]:
        frames, group = len(part.rgb), self.group
        part = part.lengthened(padded_length(frames, group))
        # The pipeline's masks come out too short where there are more pictures than latents in time.
        most = min(self.reference_views, (len(part.rgb) - 1) // group + 1)
        pictures = [] if reference is None else [as_picture(rgb) for rgb in reference.rgb[:most]]
        revising = self.settings.revise > 0
        wanted = part.wanted(revising, group, self.cell)
        # Poorly known pixels keep their colours under the mask, so that they are revised, not invented.
        seen = part.known & ~grow_over_groups(~part.known, group)
        video = torch.where(seen[..., None], part.rgb, part.hole)
        self.pipeline.conditioning = None if part.latents is None else self.conditioning(part.latents, wanted, seen)
        held, lead = self._held_latents(part, len(pictures), generator) if revising or part.shared else (None, None)
        sampled: Tensor = self.pipeline(
            video=video.permute(0, 3, 1, 2)[None],
            mask=wanted[None, :, None].float().expand(-1, -1, 3, -1, -1),
            reference_images=pictures or None,
            height=video.shape[1],
            width=video.shape[2],
            num_frames=len(video),
            generator=generator,
            latents=None if held is None else held.noise,
            output_type="latent",
            **words,
            callback_on_step_end=held,
            **self._sampling_options(),
        ).frames[:, :, len(pictures) :]
        made = decoded(self._decoded, sampled, lead, group)
        self.pipeline.maybe_free_model_hooks()  # the pipeline does so by itself, but has not seen the autoencoder at work
        return made[:frames], sampled[0].permute(1, 2, 3, 0).float().cpu()

    @torch.no_grad()
    def _held_latents(
        self, part: PartOfWindow, references: int, generator: torch.Generator
    ) -> tuple[HeldLatents, Float[Tensor, "1 f l H W"] | None]:
        """The latents of what is known and how much noise each may have, and those of the part's lead. Reference pictures' are
        not held; what the part before has made is faded out."""
        prepare_scheduler(self.pipeline.scheduler, self._steps)
        allowed = allowed_in_cells(allowed_noise(part.remembered, part.trust, self.settings.revise), self.cell, self.group)
        if self.settings.revise == 0:  # the mask alone keeps what is known
            allowed = torch.full_like(allowed, FREE)
        shares = shares_of_part_before(part.shared, len(allowed), self.group)
        lead = None
        if part.latents is not None:
            latents = part.latents.features.permute(3, 0, 1, 2)[None]
            allowed = torch.where(part.latents.known, allowed, FREE)
        else:
            latents, lead = encoded(self._encoded, part, self.group)
        allowed = torch.cat([allowed.new_full((references, *allowed.shape[1:]), FREE), allowed])[None, None]
        latents = torch.cat([latents.new_zeros(*latents.shape[:2], references, *latents.shape[3:]), latents], dim=2)
        shares = torch.cat([shares.new_zeros(references), shares]).view(1, 1, -1, 1, 1)
        return HeldLatents(latents, torch.randn(latents.shape, generator=generator), allowed, shares), lead

    def conditioning(
        self, latents: LatentFrames, wanted: Bool[Tensor, "t h w"], seen: Bool[Tensor, "t h w"]
    ) -> Float[Tensor, "1 c g H W"]:
        """The conditioning that the pipeline would encode from the window's pixels, from the memory's latents instead.

        Known cells are in the half that is kept, or, if all of a cell is to be revised, in the half that is changed; all else
        is grey.
        """
        starts = [0, *range(1, len(wanted), self.group)]
        changed = whole_cells(wanted[starts], self.cell)
        revised = changed & whole_cells(seen[starts], self.cell)
        known = latents.features.permute(3, 0, 1, 2)[None]
        grey = self._grey_latents((known.shape[2], known.shape[3], known.shape[4]))
        halves = [torch.where(latents.known & where, known, grey) for where in (~changed, revised)]
        return torch.cat(halves, dim=1)

    def latent_cameras(self, cameras: Cameras) -> Cameras:
        """One camera for each latent in time, with one pixel for each latent cell; see ``LatentInpainter.latent_cameras``."""
        size = self._working_size_of(cameras.height, cameras.width, self.budget)
        return size.cell_cameras(cameras[self.latent_frames(len(cameras))], self.cell)

    def latent_frames(self, frames: int) -> list[int]:
        """The frames of a window, by number, that stand for its latents in time: the middle of each time group,
        those of the window's padding included."""
        starts = range(1, padded_length(frames, self.group), self.group)
        return [0, *(min(start + (self.group - 1) // 2, frames - 1) for start in starts)]

    def encode(self, rgb: Float[Tensor, "h w 3"]) -> Float[Tensor, "H W f"]:
        """The latents of one picture on the grid of ``latent_cameras``, scaled as in the sampler."""
        if not self._placed:  # the rest of the model is brought to the device later
            self.pipeline.vae.to(self.device)
        size = self._working_size_of(rgb.shape[0], rgb.shape[1], self.budget)
        return self._encoded(size.shrink_rgb(rgb[None]).permute(0, 3, 1, 2))[0, :, 0].permute(1, 2, 0)

    @torch.no_grad()
    def _encoded(self, frames: Float[Tensor, "t 3 H W"]) -> Float[Tensor, "1 f g h w"]:
        """The latents of a video, scaled as in the sampler."""
        vae = self.pipeline.vae
        device = self.pipeline._execution_device if self._placed else torch.device(self.device)
        video = (2 * frames - 1).permute(1, 0, 2, 3)[None].to(device, vae.dtype)
        latents = vae.encode(video).latent_dist.mode().float().cpu()
        mean, std = self._scaling("cpu")
        return (latents - mean) / std

    @torch.no_grad()
    def _decoded(self, latents: Float[Tensor, "1 f g h w"]) -> Float[Tensor, "t H W 3"]:
        """The frames of latents that are scaled as in the sampler."""
        vae = self.pipeline.vae
        mean, std = self._scaling(latents.device)
        video = vae.decode((latents.float() * std + mean).to(vae.dtype), return_dict=False)[0]
        return (video[0].permute(1, 2, 3, 0).float().cpu() / 2 + 0.5).clamp(0, 1)

    def _scaling(self, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the autoencoder's latents, which the sampler has without them."""
        config = self.pipeline.vae.config
        mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1, 1) for v in (config.latents_mean, config.latents_std))
        return mean, std

    def _grey_latents(self, shape: tuple[int, int, int]) -> Float[Tensor, "1 f g h w"]:
        """The latents of a grey video of ``shape`` (time, rows, columns); the longest is kept, since it begins with the
        others."""
        group, cell = self.group, self.cell
        if self._grey.ndim != 5 or tuple(self._grey.shape[3:]) != shape[1:] or self._grey.shape[2] < shape[0]:
            self._grey = self._encoded(torch.full(((shape[0] - 1) * group + 1, 3, shape[1] * cell, shape[2] * cell), GREY))
        return self._grey[:, :, : shape[0]]

    @property
    def _steps(self) -> int:
        default = inspect.signature(type(self.pipeline).__call__).parameters["num_inference_steps"].default
        return self.settings.steps or default

    @torch.no_grad()
    def read_prompt(self, prompt: str) -> dict[str, Any]:
        """The prompt as the pipeline takes it, made once: the text encoder, the larger part of the small model, is let go
        before the rest of the model is brought to the device. For another prompt it is loaded again."""
        if prompt in self._embeddings:
            return self._embeddings[prompt]
        whole = self.hardware.offload == "none" or self.device == "cpu"  # all that is left of the model lies on the device
        if self._placed:
            self._fetch_text_encoder(make_room=whole)
        elif whole:
            store_small(self.pipeline, self.hardware)
            self.pipeline.text_encoder.to(self.device)
        else:
            place(self.pipeline, self.hardware, self.device)
        guided = (self.settings.guidance is None) or self.settings.guidance > 1
        positive, negative = self.pipeline.encode_prompt(
            prompt=prompt,
            negative_prompt=self.settings.negative_prompt,
            do_classifier_free_guidance=guided,
            max_sequence_length=MAX_PROMPT_TOKENS,
            device=torch.device(self.device),
        )
        embeddings = {"prompt_embeds": positive} | ({"negative_prompt_embeds": negative} if guided else {})
        self.pipeline.text_encoder = None
        release(self.device)
        if whole:
            place(self.pipeline, self.hardware, self.device)
        self._placed = True
        while len(self._embeddings) >= KEPT_PROMPTS:
            self._embeddings.pop(next(iter(self._embeddings)))
        self._embeddings[prompt] = embeddings
        return embeddings

    def _fetch_text_encoder(self, *, make_room: bool) -> None:
        """Loads the text encoder again and brings it to the device, from which the rest of the model makes way if need be."""
        if self.load_text_encoder is None:
            raise ValueError("this inpainter has let go of its text encoder: use one for each prompt")
        if make_room:
            self.pipeline.to("cpu")
            release(self.device)
        self.pipeline.text_encoder = self.load_text_encoder()
        store_small(self.pipeline, self.hardware)
        self.pipeline.text_encoder.to(self.device)
