"""Windows of video made by SANA-WM, a world model that is steered by cameras, through diffusers.

It takes no mask: it goes on from one picture along a path of cameras, and is for where little is known. Its frames keep what is
known of them, like any inpainter's; their depth is aligned with the memory's, and they are lifted.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.config import HardwareConfig, InpainterConfig
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.interpolation import interpolate_keyframes
from splatmem.geometry.poses import rigid_inverse
from splatmem.geometry.push_pull import push_pull
from splatmem.inpaint.diffusers.loading import loading_options
from splatmem.inpaint.diffusers.time_groups import PartOfWindow, padded_length
from splatmem.inpaint.diffusers.windows import WindowInpainter, as_picture
from splatmem.inpaint.protocol import ReferenceViews
from splatmem.memory import SpatialMemory
from splatmem.models.hardware import place

WHOLE_START = 0.8  # share of the first frame that must be known for it to be started from; else the photo is
WAY = 16  # frames from the photo to the window's first
TYPICAL_DEPTH = 3.0  # metres from the camera to a scene whose unit is not known


class SanaWMInpainter(WindowInpainter):
    """Runs a ``SanaWMPipeline``."""

    default_window = 81
    overlap = 1  # each part goes on from the last frame of the one before
    reads_latents = False

    def __init__(self, pipeline: Any, settings: InpainterConfig, hardware: HardwareConfig, device: str, name: str) -> None:
        super().__init__(pipeline, settings, hardware, device, name)
        if settings.conditioning == "latents" or settings.control == "depth":
            raise ValueError(
                "SANA-WM is shown one picture and cameras: leave inpainter.conditioning and inpainter.control away"
            )
        self.reference_views = 1
        self.metres = 1.0  # in a unit of the cameras
        place(pipeline, hardware, device)

    @staticmethod
    def from_pretrained(
        folder: Path, settings: InpainterConfig, hardware: HardwareConfig, device: str, dtype: torch.dtype
    ) -> SanaWMInpainter:
        """Loads a saved pipeline."""
        from diffusers import SanaWMPipeline

        pipeline = SanaWMPipeline.from_pretrained(folder, **loading_options(folder, settings, dtype))
        return SanaWMInpainter(pipeline, settings, hardware, device, Path(settings.model).name)

    def prepare(self, memory: Any, trajectory: Cameras, seed: int) -> SanaWMInpainter:
        """One that knows the scene's unit: the model was trained on paths in metres."""
        assert isinstance(memory, SpatialMemory)
        ready = copy.copy(self)
        ready.metres = 1.0 if memory.metric else TYPICAL_DEPTH / memory.scale
        return ready

    @property
    def group(self) -> int:
        return self.pipeline.vae_temporal_compression_ratio

    @property
    def cell(self) -> int:
        return self.pipeline.vae_spatial_compression_ratio

    @property
    def multiple(self) -> int:
        return self.cell

    def read_prompt(self, prompt: str) -> dict[str, Any]:
        return {"prompt": prompt, "negative_prompt": self.settings.negative_prompt}

    def _fill_part(
        self, part: PartOfWindow, reference: ReferenceViews | None, words: dict[str, Any], generator: torch.Generator
    ) -> tuple[Float[Tensor, "t h w 3"], Float[Tensor, "g H W f"]]:
        frames, (height, width) = len(part.rgb), part.rgb.shape[1:3]
        picture, cameras = part.rgb[0], part.cameras
        if reference is not None and part.known[0].float().mean() < WHOLE_START:
            picture, seen_from = _resized(reference.rgb[0], height, width), reference.cameras[0].resized(width, height)
            cameras = Cameras.cat([_way(seen_from, cameras[0]), cameras])
        elif not part.known[0].all():
            picture = push_pull(picture.permute(2, 0, 1)[None], part.known[:1, None].float())[0].permute(1, 2, 0)
        length = len(cameras)
        cameras = cameras[[min(index, length - 1) for index in range(padded_length(length, self.group))]]
        result = self.pipeline(
            image=as_picture(picture),
            c2w=self._poses(cameras),
            intrinsics=cameras.intrinsics[:, [0, 1, 0, 1], [0, 1, 2, 2]].numpy(),
            height=height,
            width=width,
            num_frames=len(cameras),
            generator=generator,
            output_type="np",
            **words,
            **self._sampling_options(),
        )
        made = torch.from_numpy(np.asarray(result.frames, dtype=np.float32))
        return made[length - frames : length], torch.zeros(1, 1, 1, 1)

    def _poses(self, cameras: Cameras) -> np.ndarray:
        """Camera-to-world poses in metres, ``[n, 4, 4]``."""
        poses = cameras.cam_to_world.clone()
        poses[:, :3, 3] *= self.metres
        return poses.numpy()


def _resized(rgb: Float[Tensor, "h w 3"], height: int, width: int) -> Float[Tensor, "H W 3"]:
    picture = rgb.permute(2, 0, 1)[None]
    return F.interpolate(picture, size=(height, width), mode="bilinear", antialias=True)[0].permute(1, 2, 0)


def _way(start: Cameras, end: Cameras) -> Cameras:
    """``WAY`` cameras from one to just before another."""
    poses = interpolate_keyframes(torch.cat([start.cam_to_world, end.cam_to_world]), WAY + 1)[:-1]
    share = torch.linspace(0, 1, WAY + 1)[:-1, None, None]
    intrinsics = torch.lerp(start.intrinsics.expand(WAY, 3, 3), end.intrinsics.expand(WAY, 3, 3), share)
    return Cameras(rigid_inverse(poses), intrinsics, end.width, end.height)
