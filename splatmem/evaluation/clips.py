"""Distances between sets of films, over the features of short clips.

The Fréchet video distance (FVD, Unterthiner et al. 2018) is the Fréchet distance between two sets of clips in the feature space
of I3D, a network that was trained to tell actions. Its weights come in no package: who has them as TorchScript gives the file
(``ClipNetwork``), and the figure is FVD with 16 frames to a clip. Without them ``ClipFeatures`` describes a clip by
EfficientNet-Lite0: the figure is then a Fréchet distance over clips of that network's features, which is another one than FVD,
and is to be compared with nothing but itself, for as many clips of the same size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.evaluation.features import PatchFeatures

CLIP_FRAMES = 16
STEP = 8  # frames between the beginnings of two clips of a film


class DescribesClips(Protocol):
    """Turns clips into feature vectors."""

    name: str

    def __call__(self, clips: Float[Tensor, "n t h w 3"]) -> Float[Tensor, "n d"]: ...


class ClipFeatures:
    """EfficientNet-Lite0's features at the stride 32: means over each frame, then mean and deviation over a clip's frames."""

    name = "Fréchet distance over clips, EfficientNet-Lite0"

    def __init__(self, describe: PatchFeatures | None = None) -> None:
        self.describe = describe or PatchFeatures.pretrained()

    def __call__(self, clips: Float[Tensor, "n t h w 3"]) -> Float[Tensor, "n d"]:
        frames = self.describe(clips.flatten(0, 1))[-1].mean((2, 3)).unflatten(0, clips.shape[:2])
        return torch.cat([frames.mean(1), frames.std(1, correction=0)], dim=1)


class ClipNetwork:
    """A network of one's own as TorchScript, called as the I3D of StyleGAN-V's FVD is: ``network(video, rescale=True,
    resize=True, return_features=True)`` with ``[n, 3, t, h, w]`` in 0..255."""

    name = "FVD (the file's features)"

    def __init__(self, file: Path) -> None:
        """Raises ``ValueError``: it is no TorchScript."""
        try:
            self.network: Any = torch.jit.load(str(file), map_location="cpu").eval()
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{file} is no network in TorchScript: {str(error).splitlines()[0]}") from error

    @torch.no_grad()
    def __call__(self, clips: Float[Tensor, "n t h w 3"]) -> Float[Tensor, "n d"]:
        return self.network(255 * clips.permute(0, 4, 1, 2, 3), rescale=True, resize=True, return_features=True)


def clips_of(film: Float[Tensor, "t h w 3"]) -> Float[Tensor, "n u h w 3"]:
    """The clips of a film, overlapping by half.

    Raises:
        ValueError: it has too few frames for one.
    """
    if len(film) < CLIP_FRAMES:
        raise ValueError(f"a clip has {CLIP_FRAMES} frames, the film only {len(film)}")
    return torch.stack([film[first : first + CLIP_FRAMES] for first in range(0, len(film) - CLIP_FRAMES + 1, STEP)])


def frechet_distance(one: Float[Tensor, "n d"], other: Float[Tensor, "m d"]) -> float:
    """Between the normal distributions that fit two sets of vectors: |difference of means|^2 + tr(A + B - 2 (A B)^(1/2)).

    Few vectors make it too large: compare only figures of equally many.

    Raises:
        ValueError: a set has fewer than two.
    """
    if min(len(one), len(other)) < 2:
        raise ValueError(f"a distribution needs two clips or more, got {len(one)} and {len(other)}")
    one, other = one.double(), other.double()
    # The singular values of the product of the centred sets are the eigenvalues of (A B)^(1/2). Triangular factors of the sets
    # have the same ones, and no side of theirs is longer than the lesser of n and d.
    a, b = ((x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (one, other))
    factors = [torch.linalg.qr(x, mode="r").R for x in (a, b)]
    root = torch.linalg.svdvals(factors[0] @ factors[1].mT).sum()
    means = (one.mean(0) - other.mean(0)).square().sum()
    return max(0.0, float(means + a.square().sum() + b.square().sum() - 2 * root))
