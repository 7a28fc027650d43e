"""Merges Gaussians of one view that no view tells apart: neighbours on one surface whose colours differ little.

Pairs of neighbours are merged as long as that adds at most a given squared error of colour: the clustering of Ward (1963,
"Hierarchical Grouping to Optimize an Objective Function") over the neighbourhoods of the view's pixels. Each merged Gaussian
saved costs about the same error then, wherever it lies: even surfaces end in few wide Gaussians, and textures keep many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.gaussians.container import Gaussians, rgb_to_sh
from splatmem.gaussians.lift import THICKNESS, sampling_distance
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.rotations import quats_to_rotations, rotations_to_quats

MERGE_ERROR = 0.0012
"""Squared error of colour, summed over pixels and channels in 0..1, that one merged Gaussian less may cost."""
LEVELS = (1 / 64, 1 / 16, 1 / 4, 1.0)
"""Shares of that error up to which pairs are merged in turn: cheap ones first."""
ROUNDS = 12
"""Most rounds of each level; a round merges pairs that prefer each other."""
SMALL_FIRST = 1e-7
"""Is added to squared differences of colour: of pairs that differ equally little, the smallest are merged first."""
LARGEST = 24.0
"""Longest extent of what is merged, in pixels."""
FULLNESS = 1.6
"""What is merged may have the moments of a rectangle of at most this many times its area: no crooked shapes, no holes."""
OFF_PLANE = 0.012
"""Distance from each other's tangent planes up to which two Gaussians lie on one surface, as a share of their depth."""
TURN = 0.6
"""Cosine between their normals from which they do."""
LARGE, LARGER = 1.1, 3.0
"""Standard deviation, in pixels, from which a Gaussian stands for two by two pixels, and for four by four; see
``LiftSettings``."""


@dataclass(frozen=True)
class Merged:
    """What became of ``n`` Gaussians.

    Attributes:
        gaussians: the ``m`` that there are now, in the order of the first one of each.
        first: index of that first one among the ``n``, ``[m]``.
        made: which of the ``m`` stand for others and may be fitted; the rest stayed as they were, ``[m]``.
    """

    gaussians: Gaussians
    first: Int[Tensor, " m"]
    made: Bool[Tensor, " m"]


@torch.no_grad()
def merge_alike(
    gaussians: Gaussians,
    camera: Cameras,
    spread: float,
    error: float = MERGE_ERROR,
    kept: Bool[Tensor, "h w"] | None = None,
) -> Merged:
    """Merges what one view has brought.

    What the view does not show from the front stays as it is. Underlays go: the merged Gaussians are to cover by themselves.

    Args:
        gaussians: of one lifted view, with one colour band and without features.
        camera: that view's; or one at another size from the same place.
        spread: standard deviation of what is made, in units of its extent.
        error: see ``MERGE_ERROR``.
        kept: pixels of the view whose Gaussians stay as they are, underlays too.
    """
    cells = _Cells.of(gaussians, camera, kept)
    if cells is None:
        return Merged(gaussians, torch.arange(len(gaussians)), torch.zeros(len(gaussians), dtype=torch.bool))
    clusters = _Clusters.of(gaussians, cells, camera.centers[0].double().cpu().numpy())
    clusters.merge(cells.neighbours(), error)
    made = clusters.gaussians(gaussians, spread)
    member = torch.from_numpy(clusters.root)
    untouched = torch.from_numpy(cells.untouched)
    first = torch.cat([torch.nonzero(untouched)[:, 0], torch.unique(member)])
    order = first.argsort()
    joined = Gaussians.cat([gaussians.select(untouched.to(gaussians.device)), made])
    is_made = torch.arange(len(first)) >= int(untouched.sum())
    return Merged(joined.select(order.to(gaussians.device)), first[order], is_made[order])


@dataclass(frozen=True)
class _Cells:
    """The pixels of a view that Gaussians stand for.

    Attributes:
        lattice: index of the Gaussian that stands for each pixel, -1 for none, ``[rows, columns]``.
        untouched: Gaussians that are no part of the view's surfaces, ``[n]``.
        size: pixels along one side that each stands for, ``[n]``.
        middle: of each in the view, in those pixels, ``[n, 2]``.
    """

    lattice: np.ndarray
    untouched: np.ndarray
    size: np.ndarray
    middle: np.ndarray

    @staticmethod
    def of(gaussians: Gaussians, camera: Cameras, kept: Bool[Tensor, "h w"] | None) -> _Cells | None:
        """None where the view shows next to none of the Gaussians that may be merged from the front."""
        camera = camera.to(gaussians.device)
        pixels, depth = camera.project(gaussians.means)
        pixels, depth = pixels[0], depth[0]
        facing = (gaussians.normals * (camera.centers[0] - gaussians.means)).sum(-1) > 0
        shown = facing & camera.in_picture(pixels[None], depth[None])[0]
        if kept is not None:
            column, row = (pixels[:, axis].long().clamp(0, kept.shape[1 - axis] - 1) for axis in (0, 1))
            shown &= ~kept.to(shown.device)[row, column]
        if int(shown.sum()) < 4:
            return None
        reach = gaussians.scales[:, 0] / sampling_distance(gaussians)
        # The shorter side of a pixel on a surface is as long as seen from the front.
        pixel = gaussians.scales[:, 1] / reach / (depth / camera.focal.mean()).clamp_min(1e-9)
        unit = max(1.0, float(pixel[shown].median().round()))  # of what was lifted at a smaller size
        middle = (pixels / unit).double().cpu().numpy()
        wide = reach.cpu().numpy()
        size = np.where(wide > LARGER, 4, np.where(wide > LARGE, 2, 1))
        rows, columns = int(camera.height // unit) + 1, int(camera.width // unit) + 1
        lattice = np.full((rows, columns), -1)
        candidates, z = shown.cpu().numpy(), depth.cpu().numpy()
        for side in (1, 2, 4):
            some = np.nonzero(candidates & (size == side))[0]
            some = some[np.argsort(-z[some], kind="stable")]  # of those in one place the nearest is written last
            corner = np.floor(middle[some] - (side - 1) / 2 + 1e-3).astype(int)
            offsets = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2)
            row, column = ((corner[:, axis, None] + offsets[:, axis]).clip(0, lattice.shape[1 - axis] - 1) for axis in (1, 0))
            # Wide ones beneath others are an underlay.
            free = np.ones(len(some), bool) if side == 1 else (lattice[row, column] < 0).all(1)
            lattice[row[free], column[free]] = some[free, None]
        return _Cells(lattice, ~candidates, size, middle)

    def neighbours(self) -> np.ndarray:
        """Pairs of Gaussians whose pixels touch, ``[e, 2]``."""
        lattice = self.lattice
        pairs = [np.stack([lattice[:, :-1].ravel(), lattice[:, 1:].ravel()], 1)]
        pairs.append(np.stack([lattice[:-1].ravel(), lattice[1:].ravel()], 1))
        return _once(np.concatenate(pairs), int(lattice.max()) + 1)


def _once(pairs: np.ndarray, count: int) -> np.ndarray:
    """Pairs of different, existing things, each once."""
    pairs = np.sort(pairs[(pairs >= 0).all(1) & (pairs[:, 0] != pairs[:, 1])], axis=1)
    keys = np.unique(pairs[:, 0] * count + pairs[:, 1])
    return np.stack([keys // count, keys % count], 1)


@dataclass
class _Clusters:
    """Sums over the members of clusters, each kept at the index of its first member.

    Attributes:
        root: the first members, ``[c]``.
        sums: ``[n, k]``: area in pixels; then, times that, middle in the picture (2) and its products (3), colour (3), place
            from the camera on (3) and its products (6), with the extent of the pixels, normal (3), sampling distance.
        center: of the camera.
    """

    root: np.ndarray
    sums: np.ndarray
    center: np.ndarray

    @staticmethod
    def of(gaussians: Gaussians, cells: _Cells, center: np.ndarray) -> _Clusters:
        rotations = quats_to_rotations(gaussians.quats).double().cpu().numpy()
        means, scales = gaussians.means.double().cpu().numpy() - center, gaussians.scales.double().cpu().numpy()
        sampling = sampling_distance(gaussians).double().cpu().numpy()
        side = np.stack([sampling, scales[:, 1] / np.maximum(scales[:, 0] / sampling, 1e-12)], 1) * cells.size[:, None]
        area = (cells.size**2).astype(float)
        x, y = cells.middle.T
        own = area / 12  # variance of a square of pixels
        moments = np.stack([x * x + own, x * y, y * y + own], 1)
        tangents = rotations[:, :, :2] * side[:, None, :] / np.sqrt(12)
        spreads = tangents @ tangents.transpose(0, 2, 1) + means[:, :, None] * means[:, None, :]
        upper = spreads[:, (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)]
        values = np.concatenate(
            [cells.middle, moments, gaussians.rgb.double().cpu().numpy(), means, upper, rotations[:, :, 2], sampling[:, None]],
            1,
        )
        standing = np.unique(cells.lattice[cells.lattice >= 0])
        return _Clusters(standing, np.concatenate([area[:, None], area[:, None] * values], 1), center)

    def merge(self, pairs: np.ndarray, error: float) -> None:
        """Merges neighbours up to an error, the cheapest first."""
        count = len(self.sums)
        for level in LEVELS:
            for _ in range(ROUNDS):
                cost = self._cost(pairs)
                cheap = cost <= level * error
                if not cheap.any():
                    break
                kept, gone = _mutual(pairs[cheap], cost[cheap], count)
                self.sums[kept] += self.sums[gone]
                target = np.arange(count)
                target[gone] = kept
                self.root = target[self.root]
                pairs = _once(target[pairs], count)
        self.root = np.unique(self.root)

    def _cost(self, pairs: np.ndarray) -> np.ndarray:
        """Squared error of colour that merging each pair adds; infinite for pairs that may not be merged."""
        a, b = self.sums[pairs[:, 0]], self.sums[pairs[:, 1]]
        wa, wb = a[:, :1], b[:, :1]
        first, second, both = a / wa, b / wb, (a + b) / (wa + wb)
        share = (wa * wb / (wa + wb))[:, 0]
        cost = share * (((first[:, 6:9] - second[:, 6:9]) ** 2).sum(1) + SMALL_FIRST)
        large, small = _extents(both)
        step = second[:, 9:12] - first[:, 9:12]
        normals = [v[:, 18:21] / np.maximum(np.linalg.norm(v[:, 18:21], axis=1, keepdims=True), 1e-12) for v in (first, second)]
        off = np.maximum(*(np.abs((step * normal).sum(1)) for normal in normals))
        depth = np.linalg.norm(both[:, 9:12], axis=1)
        apart = (off > OFF_PLANE * np.maximum(depth, 1e-9)) | ((normals[0] * normals[1]).sum(1) < TURN)
        crooked = (large * small > FULLNESS * (wa + wb)[:, 0]) | (large > LARGEST)
        return np.where(apart | crooked, np.inf, cost)

    def gaussians(self, like: Gaussians, spread: float) -> Gaussians:
        """One Gaussian for each cluster, in the order of their first members."""
        mean = self.sums[self.root]
        mean = mean / mean[:, :1]
        place, normal = mean[:, 9:12], mean[:, 18:21]
        spreads = np.zeros((len(mean), 3, 3))
        for index, (i, j) in enumerate(((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))):
            spreads[:, i, j] = spreads[:, j, i] = mean[:, 12 + index] - place[:, i] * place[:, j]
        normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        helper = np.zeros_like(normal)
        helper[np.arange(len(normal)), np.abs(normal).argmin(1)] = 1.0
        first = np.cross(helper, normal)
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        basis = np.stack([first, np.cross(normal, first)], -1)
        values, axes = np.linalg.eigh(basis.transpose(0, 2, 1) @ spreads @ basis)
        axes = basis @ axes[:, :, ::-1]  # the longer first
        extents = np.sqrt(12 * np.maximum(values[:, ::-1], 1e-18))
        rotations = np.stack([axes[:, :, 0], np.cross(normal, axes[:, :, 0]), normal], -1)
        scales = np.concatenate([spread * extents, THICKNESS * mean[:, 21:22]], 1)
        device = like.device

        def tensor(value: np.ndarray) -> Float[Tensor, "..."]:
            return torch.from_numpy(value).to(device, torch.float32)

        return Gaussians(
            means=tensor(place + self.center), quats=rotations_to_quats(tensor(rotations)), log_scales=tensor(scales).log(),
            opacity_logits=like.opacity_logits[torch.from_numpy(self.root).to(device)], sh=rgb_to_sh(tensor(mean[:, 6:9])),
        )  # fmt: skip


def _extents(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longer and shorter side of the rectangles that have given moments in the picture."""
    xx, xy, yy = mean[:, 3] - mean[:, 1] ** 2, mean[:, 4] - mean[:, 1] * mean[:, 2], mean[:, 5] - mean[:, 2] ** 2
    half, root = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    return np.sqrt(12 * np.maximum(half + root, 0)), np.sqrt(12 * np.maximum(half - root, 0))


def _mutual(pairs: np.ndarray, cost: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs whose members prefer each other to all others: the smaller and the larger index of each."""
    order = np.argsort(-cost, kind="stable")
    both = np.stack([pairs[order], pairs[order][:, ::-1]], 1).reshape(-1, 2)
    best = np.full(count, -1)
    best[both[:, 0]] = both[:, 1]  # of what is written to one place several times, the last stays: the cheapest
    some = np.nonzero(best >= 0)[0]
    mutual = some[(best[best[some]] == some) & (some < best[some])]
    return mutual, best[mutual]
