"""The protocols of depth estimators, and their result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class DepthPrediction:
    """Depth of ``t`` pictures.

    Attributes:
        depth: z-depth, ``inf`` for sky, ``[t, h, w]``; in metres if ``metric``, else up to one scale per picture.
        metric: whether the unit is metres.
        fov_x_degrees: horizontal field of view, where the model estimates it.
        class_logits: logits of the values of ``PixelClass``, on a coarse grid over each picture, where the model tells them.
        indoors_logits: logits of each picture's being taken indoors, where the model tells that.
    """

    depth: Float[Tensor, "t h w"]
    metric: bool
    fov_x_degrees: float | None = None
    class_logits: Float[Tensor, "t k p q"] | None = None
    indoors_logits: Float[Tensor, " t"] | None = None

    @property
    def first_class_logits(self) -> Float[Tensor, "k p q"] | None:
        """The class logits of the first picture."""
        return None if self.class_logits is None else self.class_logits[0]

    @property
    def first_indoors(self) -> bool | None:
        """Whether the first picture was taken indoors; None where the model does not tell."""
        return None if self.indoors_logits is None else float(self.indoors_logits[0]) > 0


class DepthEstimator(Protocol):
    """Estimates z-depth of pictures, each on its own. Any callable with this signature is one.

    It may have two attributes: ``name``, for reports (the class's by default), and ``estimates_fov``, whether its predictions
    hold a field of view (no by default).
    """

    def __call__(self, images: Float[Tensor, "t h w 3"], *, fov_x_degrees: float | None = None) -> DepthPrediction:
        """Depth at the pictures' size.

        Args:
            images: sRGB in 0..1.
            fov_x_degrees: of the pictures, for models that use it.
        """
        ...


def estimator_name(estimator: DepthEstimator) -> str:
    """The estimator's name for reports."""
    return str(getattr(estimator, "name", getattr(estimator, "__name__", type(estimator).__name__)))


@runtime_checkable
class DepthCompleter(Protocol):
    """An estimator that makes use of depth that is known already."""

    def complete(
        self,
        images: Float[Tensor, "t h w 3"],
        known_depth: Float[Tensor, "t h w"],
        known: Bool[Tensor, "t h w"],
        *,
        fov_x_degrees: float | None = None,
    ) -> DepthPrediction:
        """Depth at the size of the pictures, close to the known depth and in its unit; the caller aligns it exactly.

        Args:
            images: sRGB in 0..1.
            known_depth: z-depth, meaningless where not known, ``inf`` for sky.
            known: where it counts; nowhere at all is allowed.
            fov_x_degrees: of the pictures.
        """
        ...


def completed_depth(
    estimator: DepthEstimator,
    image: Float[Tensor, "h w 3"],
    known_depth: Float[Tensor, "h w"],
    known: Bool[Tensor, "h w"],
    fov_x_degrees: float,
) -> Float[Tensor, "h w"]:
    """Depth of one picture, with regard to what is known of it if the estimator can."""
    if isinstance(estimator, DepthCompleter):
        completed = estimator.complete(image[None], known_depth[None], known[None], fov_x_degrees=fov_x_degrees)
        return completed.depth[0]
    return estimator(image[None], fov_x_degrees=fov_x_degrees).depth[0]
