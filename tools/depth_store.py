"""Frames kept where the training runs, and random batches of parts of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8, UInt16
from numpy import ndarray
from torch import Tensor

KIND_SHARES = {"near": 0.3, "room": 0.28, "open": 0.22, "stairs": 0.07, "levels": 0.13}
"""How often each kind of scene is shown; what is missing leaves its share to the others."""
OTHER_SHARE = 0.1


@dataclass(frozen=True)
class Look:
    """A way to crop.

    Attributes:
        sizes: heights and widths that crops are brought to; one of them for each batch.
        share: smallest and largest height of a crop before that, relative to the picture's.
    """

    sizes: tuple[tuple[int, int], ...]
    share: tuple[float, float]


WHOLE = Look(((288, 384), (256, 384), (288, 512), (384, 288)), (0.75, 1.0))
"""So a picture's structure is learnt."""
DETAIL = Look(((288, 384),), (0.4, 0.75))
"""And so its detail: a part of the picture, enlarged."""


@dataclass(frozen=True)
class Batch:
    """Pictures ``[b, 3, h, w]`` in 0..1, depth in metres ``[b, h, w]`` (0 = sky) and labels ``[b, h, w]`` (0 = unknown)."""

    rgb: Float[Tensor, "b 3 h w"]
    depth: Float[Tensor, "b h w"]
    labels: Int[Tensor, "b h w"]


class FrameStore:
    """Frames of one size on one device; more can be added while batches are drawn.

    Adding is safe from one other thread: a frame is counted only after it was copied.
    """

    def __init__(self, size: tuple[int, int], capacity: int, device: torch.device) -> None:
        """``size``: height and width; ``capacity``: most frames that are kept."""
        self.size, self.capacity, self.device = size, capacity, device
        self._rgb = torch.empty(capacity, *size, 3, dtype=torch.uint8, device=device)
        self._millimetres = torch.empty(capacity, *size, dtype=torch.int16, device=device)
        self._labels = torch.empty(capacity, *size, dtype=torch.uint8, device=device)
        self._by_kind: dict[str, list[int]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def counts(self) -> dict[str, int]:
        """Frames of each kind."""
        return {kind: len(indices) for kind, indices in sorted(self._by_kind.items())}

    def add(
        self, kind: str, rgb: UInt8[ndarray, "n h w 3"], depth_mm: UInt16[ndarray, "n h w"], labels: UInt8[ndarray, "n h w"]
    ) -> None:
        """Takes frames in, as many as there is place for.

        Raises:
            ValueError: they have another size.
        """
        if depth_mm.shape[1:] != self.size:
            height, width = depth_mm.shape[1:]
            raise ValueError(f"frames have one size: expected {self.size[1]}x{self.size[0]}, got {width}x{height}")
        first, count = self._count, min(len(rgb), self.capacity - self._count)
        if count <= 0:
            return
        place = slice(first, first + count)
        self._rgb[place] = torch.from_numpy(rgb[:count]).to(self.device)
        self._millimetres[place] = torch.from_numpy(depth_mm[:count].view(np.int16)).to(self.device)
        self._labels[place] = torch.from_numpy(labels[:count]).to(self.device)
        self._count += count
        self._by_kind.setdefault(kind, []).extend(range(first, first + count))

    def draw(self, look: Look, count: int, rng: np.random.Generator) -> Batch:
        """A random batch: kinds by their shares, then any frame, then a part of it, half of them mirrored."""
        kinds = sorted(self._by_kind)
        shares = np.array([KIND_SHARES.get(kind, OTHER_SHARE) for kind in kinds])
        chosen = [self._by_kind[kinds[k]] for k in rng.choice(len(kinds), size=count, p=shares / shares.sum())]
        indices = [frames[int(rng.integers(len(frames)))] for frames in chosen]
        out = look.sizes[int(rng.integers(len(look.sizes)))]
        return self.crops(indices, out, crop_grids(self.size, out, look.share, count, rng))

    def crops(self, indices: Sequence[int], out: tuple[int, int], affine: Float[ndarray, "b 2 3"]) -> Batch:
        """Parts of frames, given as ``torch.nn.functional.affine_grid`` wants them."""
        index = torch.tensor(indices, device=self.device)
        theta = torch.from_numpy(affine.astype(np.float32)).to(self.device)
        grid = F.affine_grid(theta, [len(indices), 3, *out], align_corners=False)
        rgb = self._rgb[index].permute(0, 3, 1, 2).float() / 255
        rgb = F.grid_sample(rgb, grid, mode="bilinear", padding_mode="border", align_corners=False)
        exact = torch.stack([(self._millimetres[index].int() & 0xFFFF).float() / 1000, self._labels[index].float()], dim=1)
        exact = F.grid_sample(exact, grid, mode="nearest", padding_mode="border", align_corners=False)
        return Batch(rgb, exact[:, 0], exact[:, 1].long())


def crop_grids(
    size: tuple[int, int], out: tuple[int, int], share: tuple[float, float], count: int, rng: np.random.Generator
) -> Float[ndarray, "b 2 3"]:
    """Affine maps from crops of shape ``out``, give or take a little, to places in frames (-1..1); half of them mirrored."""
    height, width = size
    aspect = out[1] / out[0] * rng.uniform(0.93, 1.07, count)
    crop_height = np.minimum(height * rng.uniform(*share, count), width / aspect)
    scale_y, scale_x = crop_height / height, crop_height * aspect / width
    affine = np.zeros((count, 2, 3))
    affine[:, 0, 0] = scale_x * rng.choice((-1.0, 1.0), count)
    affine[:, 1, 1] = scale_y
    affine[:, 0, 2] = (1 - scale_x) * rng.uniform(-1, 1, count)
    affine[:, 1, 2] = (1 - scale_y) * rng.uniform(-1, 1, count)
    return affine
