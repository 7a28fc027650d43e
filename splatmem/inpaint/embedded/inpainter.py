"""The embedded inpainter: the surroundings propose; a small diffusion model revises what nothing was copied for."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.extrapolate.scene import extrapolate_scene
from splatmem.extrapolate.surroundings import Proposal, Surroundings
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint.embedded.network import WindowUNet
from splatmem.inpaint.embedded.sampling import EulerSteps, Network, fill_window
from splatmem.inpaint.migan.pictures import PictureFiller
from splatmem.inpaint.protocol import FilledFrames, PartialFrames, ReferenceViews, keep_known
from splatmem.memory import SpatialMemory
from splatmem.threads import torch_alone

SAMPLE_WIDTH = 64
SIZE_STEP = 4
DEFAULT_STEPS = 2
STRENGTH = 0.35  # share of the diffusion that the proposal goes through; with more, dark meadows become pale floors
COPIES_REVISED = 0.0  # how much of the model's change is taken over where something was copied: that is sharp, the model is not
LARGEST_CHANGE = 0.7  # of log depth: the model corrects the proposal's depth, it does not replace it


class EmbeddedInpainter:
    """Runs the network on windows of any size."""

    window_frames = 4
    continuous = False
    reads_prompt = False

    def __init__(
        self,
        network: Network,
        *,
        device: str = "cpu",
        steps: int = DEFAULT_STEPS,
        name: str = "embedded",
        surroundings: Surroundings | None = None,
        fill_wide: PictureFiller | None = None,
    ) -> None:
        """Args:
        network: the diffusion model.
        device: where it lies.
        steps: of its sampler.
        name: for reports.
        surroundings: what may lie around; ``prepare`` makes an inpainter that has them.
        fill_wide: makes wide pictures around a scene's first view; see ``splatmem.explore.widening``.
        """
        self.fill_wide = fill_wide
        self.network, self.device, self.steps, self.name, self.surroundings = network, device, steps, name, surroundings

    @staticmethod
    def from_pretrained(
        folder: Path, *, device: str = "cpu", steps: int | None = None, fill_wide: PictureFiller | None = None
    ) -> EmbeddedInpainter:
        """The inpainter of a folder of the form that ``RGBDInpaintPipeline`` has on disk."""
        network = WindowUNet.from_folder(folder / "unet").to(device)
        return EmbeddedInpainter(network, device=device, steps=steps or DEFAULT_STEPS, fill_wide=fill_wide)

    def prepare(self, memory: SpatialMemory, trajectory: Cameras, seed: int) -> EmbeddedInpainter:
        """One that starts from what may lie around this scene."""
        surroundings = extrapolate_scene(memory, trajectory)
        return EmbeddedInpainter(
            self.network, device=self.device, steps=self.steps, name=self.name, surroundings=surroundings,
            fill_wide=self.fill_wide,
        )  # fmt: skip

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        surroundings = self.surroundings
        if surroundings is None:
            raise ValueError("the embedded inpainter starts from what may lie around a scene: call its prepare() first")
        windows = [
            self._fill(partial.frames(slice(i, i + self.window_frames)), surroundings, generator)
            for i in range(0, len(partial), self.window_frames)
        ]
        rgb, depth = (torch.cat(parts) for parts in zip(*windows, strict=True))
        return FilledFrames(keep_known(partial, rgb), torch.where(partial.known, partial.depth, depth))

    def _fill(
        self, partial: PartialFrames, surroundings: Surroundings, generator: torch.Generator
    ) -> tuple[Float[Tensor, "t h w 3"], Float[Tensor, "t h w"]]:
        """One window of at most ``window_frames`` frames."""
        height, width = _sample_size(partial.cameras)
        with torch_alone(partial.cameras.width * partial.cameras.height):
            proposal = surroundings.propose(partial.cameras, partial.rgb, partial.depth, partial.known)
        everywhere = torch.ones_like(partial.known)
        small_rgb, small_depth, _ = _shrink(proposal.rgb, proposal.depth, everywhere, height, width)
        rgb, depth, known = _shrink(partial.rgb, partial.depth, partial.known, height, width)
        revised_rgb, revised_depth = fill_window(
            self.network,
            EulerSteps(),
            small_rgb,
            small_depth,
            rgb,
            depth,
            known,
            _area(proposal.covered[:, None].float(), height, width)[:, 0] >= 0.5,
            _area(proposal.place.permute(0, 3, 1, 2), height, width).permute(0, 2, 3, 1),
            device=self.device,
            steps=self.steps,
            strength=STRENGTH,
            generator=generator,
        )
        return _revised(proposal, revised_rgb - small_rgb, (revised_depth / small_depth).log())


def _sample_size(cameras: Cameras) -> tuple[int, int]:
    """(height, width) of the diffusion's grid: fixed width, the frames' aspect ratio."""
    height = SAMPLE_WIDTH * cameras.height / cameras.width
    return max(SIZE_STEP, round(height / SIZE_STEP) * SIZE_STEP), SAMPLE_WIDTH


def _shrink(
    rgb: Float[Tensor, "t H W 3"], depth: Float[Tensor, "t H W"], known: Bool[Tensor, "t H W"], height: int, width: int
) -> tuple[Float[Tensor, "t h w 3"], Float[Tensor, "t h w"], Bool[Tensor, "t h w"]]:
    """Frames at the small size: means of the known pixels (of the inverse, for depth); known where they fill half a cell."""

    weight = known[:, None].float()
    share = _area(weight, height, width)
    inverse = torch.where(known, 1 / depth.clamp_min(1e-12), 0.0)[:, None]
    mean = _area(torch.where(known[:, None], rgb.permute(0, 3, 1, 2), 0.0), height, width) / share.clamp_min(1e-4)
    harmonic = share / _area(inverse, height, width).clamp_min(1e-12)
    return mean.permute(0, 2, 3, 1), harmonic[:, 0], share[:, 0] >= 0.5


def _area(x: Float[Tensor, "t c H W"], height: int, width: int) -> Float[Tensor, "t c h w"]:
    return F.interpolate(x, size=(height, width), mode="area")


def _revised(
    proposal: Proposal, change: Float[Tensor, "t h w 3"], stretch: Float[Tensor, "t h w"]
) -> tuple[Float[Tensor, "t H W 3"], Float[Tensor, "t H W"]]:
    """The sharp proposal with the model's smooth changes of its colour and log depth: whole in the gaps, less in copies."""
    height, width = proposal.depth.shape[1:]

    def up(x: Float[Tensor, "t c h w"]) -> Float[Tensor, "t c H W"]:
        return F.interpolate(x, size=(height, width), mode="bicubic", align_corners=False)

    weight = torch.where(proposal.covered, COPIES_REVISED, 1.0)
    rgb = proposal.rgb + weight[..., None] * up(change.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    log_factor = weight * up(stretch.clamp(-LARGEST_CHANGE, LARGEST_CHANGE)[:, None])[:, 0]
    return rgb.clamp(0, 1), proposal.depth * log_factor.exp()
