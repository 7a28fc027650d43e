"""What an inpainter is given and gives back, and how one is loaded by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.extrapolate.surroundings import Surroundings
from splatmem.geometry.cameras import Cameras

POOR_TRUST = 0.5  # what is trusted less is given to a model as something to be made anew


@dataclass(frozen=True)
class LatentFrames:
    """What the memory knows of a window in the latents of an inpainter's own autoencoder, one frame for each latent in time.

    Attributes:
        features: as the sampler has them, meaningless where not known, ``[g, h, w, f]``.
        known: cells that have features, ``[g, h, w]``.
        trust: 0..1, as of ``PartialFrames``, ``[g, h, w]``.
    """

    features: Float[Tensor, "g h w f"]
    known: Bool[Tensor, "g h w"]
    trust: Float[Tensor, "g h w"]

    def missing(self, revising: bool) -> Bool[Tensor, "g h w"]:
        """Cells that are to be made: without features or, when poor ones are revised too, with poor ones."""
        return ~self.known | ((self.trust < POOR_TRUST) & revising)


@dataclass(frozen=True)
class PartialFrames:
    """What the memory knows of a window of ``t`` frames.

    Attributes:
        rgb: 0..1, meaningless where not known, ``[t, h, w, 3]``.
        depth: z-depth, ``inf`` for sky, meaningless where not known, ``[t, h, w]``.
        known: pixels that must come back unchanged, ``[t, h, w]``.
        trust: 0..1, lower where the memory saw the surface from afar or at a grazing angle, ``[t, h, w]``.
        cameras: one per frame, of the frames' size.
        surroundings: a guess for the unknown, all around, or None.
        latents: the same for an inpainter that reads latents, or None.
    """

    rgb: Float[Tensor, "t h w 3"]
    depth: Float[Tensor, "t h w"]
    known: Bool[Tensor, "t h w"]
    trust: Float[Tensor, "t h w"]
    cameras: Cameras
    surroundings: Surroundings | None = None
    latents: LatentFrames | None = None

    def __post_init__(self) -> None:
        size = (len(self.cameras), self.cameras.height, self.cameras.width)
        for name, shape in {"rgb": (*size, 3), "depth": size, "known": size, "trust": size}.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(f"PartialFrames.{name} must have shape {shape}, got {tuple(getattr(self, name).shape)}")

    def __len__(self) -> int:
        return len(self.cameras)

    def frames(self, index: slice) -> PartialFrames:
        """The frames of a slice as a window of their own, without latents."""
        parts = (
            self.rgb[index],
            self.depth[index],
            self.known[index],
            self.trust[index],
            self.cameras[index],
        )
        return PartialFrames(*parts, surroundings=self.surroundings)


@dataclass(frozen=True)
class ReferenceViews:
    """Pictures of the scene that were really seen; the first photo leads.

    Attributes:
        rgb: 0..1, ``[r, h, w, 3]``.
        depth: z-depth, ``inf`` for sky, ``[r, h, w]``.
        cameras: one per picture, of its size.
    """

    rgb: Float[Tensor, "r h w 3"]
    depth: Float[Tensor, "r h w"]
    cameras: Cameras


@dataclass(frozen=True)
class FilledFrames:
    """Whole frames.

    Attributes:
        rgb: 0..1, ``[t, h, w, 3]``; known pixels as they came, bit for bit.
        depth: z-depth, ``[t, h, w]``, or None where the inpainter makes no depth and an estimator must follow.
        latents: as ``LatentFrames.features``, of an inpainter that was shown latents, ``[g, h, w, f]``, or None.
    """

    rgb: Float[Tensor, "t h w 3"]
    depth: Float[Tensor, "t h w"] | None
    latents: Float[Tensor, "g h w f"] | None = None


class VideoInpainter(Protocol):
    """Fills the unknown of a window of frames.

    Attributes:
        name: for reports.
        window_frames: how many frames it does jointly; windows may be shorter.
        continuous: whether the frames of a window must follow each other along the path, as a video model expects them to.
        wants_surroundings: whether it starts from a guess of what lies all around.
        reads_prompt: whether words reach it.
        reference_views: how many pictures of the scene it looks at beside the window.
        notes: sentences for the report about what it could not do as asked.
    """

    name: str
    window_frames: int
    continuous: bool
    wants_surroundings: bool
    reads_prompt: bool
    reference_views: int
    notes: list[str]

    def __call__(
        self,
        partial: PartialFrames,
        *,
        generator: torch.Generator,
        prompt: str = "",
        reference: ReferenceViews | None = None,
    ) -> FilledFrames:
        """Fills ``partial``.

        Args:
            generator: all randomness comes from it.
            prompt: a description of the scene, for models that read one.
            reference: what the result should look like, for models that take pictures along.
        """
        ...


@runtime_checkable
class LatentInpainter(Protocol):
    """An inpainter that can be shown what is known in latents.

    Attributes:
        reads_latents: whether it is to be.
    """

    reads_latents: bool

    def latent_cameras(self, cameras: Cameras) -> Cameras:
        """One camera for each latent in time of a window, with one pixel for each of its cells."""
        ...

    def latent_frames(self, frames: int) -> list[int]:
        """The frames of a window, by number, that stand for its latents in time."""
        ...

    def encode(self, rgb: Float[Tensor, "h w 3"]) -> Float[Tensor, "H W f"]:
        """The latents of one picture, on the grid of ``latent_cameras``."""
        ...


def keep_known(partial: PartialFrames, rgb: Float[Tensor, "t h w 3"]) -> Float[Tensor, "t h w 3"]:
    """``rgb`` with the known pixels of ``partial`` put back."""
    return torch.where(partial.known[..., None], partial.rgb, rgb)
