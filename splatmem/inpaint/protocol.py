"""What an inpainter is given and gives back. It knows pictures and cameras, nothing of the memory or of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

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
        latents: what is known in an inpainter's own latents, for one that reads them, or None.
        expected_depth: of whole frames, for one that is steered by it: what is known, and elsewhere what may lie there;
            ``inf`` for sky, ``[t, h, w]``, or None.
    """

    rgb: Float[Tensor, "t h w 3"]
    depth: Float[Tensor, "t h w"]
    known: Bool[Tensor, "t h w"]
    trust: Float[Tensor, "t h w"]
    cameras: Cameras
    latents: LatentFrames | None = None
    expected_depth: Float[Tensor, "t h w"] | None = None

    def __post_init__(self) -> None:
        size = (len(self.cameras), self.cameras.height, self.cameras.width)
        for name, shape in {"rgb": (*size, 3), "depth": size, "known": size, "trust": size}.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(f"PartialFrames.{name} must have shape {shape}, got {tuple(getattr(self, name).shape)}")

    def __len__(self) -> int:
        return len(self.cameras)

    def frames(self, index: slice) -> PartialFrames:
        """The frames of a slice as a window of their own, without latents."""
        expected = None if self.expected_depth is None else self.expected_depth[index]
        return PartialFrames(
            self.rgb[index], self.depth[index], self.known[index], self.trust[index], self.cameras[index],
            expected_depth=expected,
        )  # fmt: skip


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
    """The whole frames that an inpainter has made.

    Attributes:
        rgb: 0..1, ``[t, h, w, 3]``; known pixels may come back changed, the loop puts them back.
        depth: z-depth, ``[t, h, w]``, or None where the inpainter makes no depth: the depth estimator is asked then.
        latents: as ``LatentFrames.features``, of an inpainter that was shown latents, ``[g, H, W, f]``, or None.
        notes: sentences for the report, such as what could not be done as asked; equal ones are reported once.
    """

    rgb: Float[Tensor, "t h w 3"]
    depth: Float[Tensor, "t h w"] | None = None
    latents: Float[Tensor, "g H W f"] | None = None
    notes: tuple[str, ...] = ()


class VideoInpainter(Protocol):
    """Fills the unknown of a window of frames. Any callable with this signature is one; see ``Traits`` for what else it may
    say of itself, and ``PreparableInpainter`` for one that wants to know the scene beforehand."""

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


@dataclass(frozen=True)
class Traits:
    """What the loop needs to know of an inpainter: its attributes of these names, with a default for each that it lacks.

    Attributes:
        name: for reports; the class's or function's name by default.
        window_frames: how many frames it fills together; windows may be shorter.
        continuous: whether the frames of a window must follow each other along the path, as a video model expects them to.
        reads_prompt: whether words reach it.
        reference_views: how many pictures of the scene it looks at beside the window.
    """

    name: str
    window_frames: int = 1
    continuous: bool = False
    reads_prompt: bool = True
    reference_views: int = 0

    @staticmethod
    def of(inpainter: VideoInpainter) -> Traits:
        """The traits of an inpainter.

        Raises:
            ValueError: it cannot be called, or its ``window_frames`` is below 1.
        """
        if not callable(inpainter):
            raise ValueError(f"an inpainter is called with partial frames, but a {type(inpainter).__name__} cannot be called")
        name = getattr(inpainter, "name", getattr(inpainter, "__name__", type(inpainter).__name__))
        given = {
            key: getattr(inpainter, key) for key in Traits.__dataclass_fields__ if key != "name" and hasattr(inpainter, key)
        }
        traits = Traits(str(name), **given)
        if traits.window_frames < 1:
            raise ValueError(f"the inpainter {traits.name} must fill at least 1 frame together, got {traits.window_frames}")
        return traits


@runtime_checkable
class PreparableInpainter(Protocol):
    """An inpainter that wants to know the scene before its first window."""

    def prepare(self, memory: Any, trajectory: Cameras, seed: int) -> VideoInpainter:
        """An inpainter for this scene; the one that is asked stays as it is, and may serve other scenes too.

        Args:
            memory: the ``SpatialMemory`` with what was given and nothing that was made, not to be changed.
            trajectory: cameras of the whole film, in its order.
            seed: of the run; what is prepared must follow from it and the other arguments alone.
        """
        ...


def prepared(inpainter: VideoInpainter, memory: Any, trajectory: Cameras, seed: int) -> VideoInpainter:
    """The inpainter made ready for a scene, if it wants that."""
    return inpainter.prepare(memory, trajectory, seed) if isinstance(inpainter, PreparableInpainter) else inpainter


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


@runtime_checkable
class TurnInpainter(Protocol):
    """An inpainter of pictures that can fill one of a whole turn, whose left end goes on at its right one.

    Attributes:
        fills_turns: whether it can.
    """

    fills_turns: bool

    def turn_sizes(self) -> tuple[int, tuple[int, int]]:
        """Most pixels of such a picture, and of which its width and height are to be multiples."""
        ...

    def fill_turn(
        self,
        rgb: Float[Tensor, "h w 3"],
        known: Bool[Tensor, "h w"],
        trust: Float[Tensor, "h w"],
        *,
        generator: torch.Generator,
        prompt: str = "",
    ) -> Float[Tensor, "h w 3"]:
        """The whole picture.

        Args:
            rgb: 0..1, meaningless where not known; the first column lies beside the last.
            known, trust: as of ``PartialFrames``.
            generator: all randomness comes from it.
            prompt: a description of the scene.
        """
        ...


def keep_known(partial: PartialFrames, rgb: Float[Tensor, "t h w 3"]) -> Float[Tensor, "t h w 3"]:
    """``rgb`` with the known pixels of ``partial`` put back."""
    return torch.where(partial.known[..., None], partial.rgb, rgb)
