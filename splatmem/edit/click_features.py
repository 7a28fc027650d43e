"""What is measured of a view's pixels relative to one of them, from which a network tells whether both show one thing.

Most of it are geodesic distances: the cheapest way from the clicked pixel to every other one, where steps cost what colour,
depth, normal, class or token change on them (Bai & Sapiro 2007 segment by such distances). The rest are differences to the
clicked pixel, how much the tokens of a vision transformer are like its token, and what the clicked pixel itself is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.classes import PixelClass, PixelClasses
from splatmem.depth.picture_tokens import PictureTokens
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.normals import surface_normals

WIDTH = 160  # pixels; clicks are told in the view reduced to this width
STEP = 0.002  # cost of a step on which nothing changes
COLOUR, DEPTH, NORMAL, KIND = 0.4, 4.0, 0.05, 0.06  # costs of changes on ways on which all of them count
SMOOTH_DEPTH = 0.01  # relative change of depth from pixel to pixel that a slanted surface has
STRONG = 0.05  # cost of a step that is a strong border
SMALL = 0.01  # added to distances before their logarithms
FAR = 3.0  # distance to where there is nothing
STANDS = (PixelClass.THING, PixelClass.VEGETATION, PixelClass.UNKNOWN)  # what a thing may be; all else is around things
TOKENS = 900  # that a view is divided into for the vision transformer
LAYERS = (1, 2, 3)  # of the four that it is read at
WHOLE = (2, 0.5)  # place in LAYERS, and the least likeness of a region's tokens, by which regions are whole things most often
REGIONS = ((2, 0.35), WHOLE, (1, 0.4))
REGION_ROUNDS = 3
SEED = 0.5  # least likeness to the clicked token, at first
TORN = 0.12  # relative change of depth from pixel to pixel that ends a region
NUM_FEATURES = 54


@dataclass(frozen=True)
class ClickMaps:
    """A view, ready for clicks.

    Attributes:
        lab: colours in CIELAB, a hundredth of its usual values, ``[h, w, 3]``.
        depth: z-depth, that of the sky four times the farthest.
        points: where the surfaces are, in the world, ``[h, w, 3]``.
        normals: of them, averaged over 5x5 pixels, ``[h, w, 3]``.
        kinds: one number for each class that is around things, and one for each thing, ``[h, w]``.
        labels: values of ``PixelClass``, ``[h, w]``.
        stands: whether a pixel may be part of a thing, by its class, ``[h, w]``.
        ways: the graphs of pixels, by what steps cost on them.
        to_edge, to_edge_by_borders: costs of the cheapest ways from each pixel to the view's edge, ``[h, w]``.
        to_edge_by_tokens: the same on ways whose steps cost what tokens change, ``[h, w]``.
        to_around: cost of the cheapest way to what is around things, ``[h, w]``.
        tokens: of the vision transformer at ``LAYERS``, each of length 1, ``[c, h, w]`` each.
        down: direction of gravity.
    """

    lab: np.ndarray
    depth: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    kinds: np.ndarray
    labels: np.ndarray
    stands: np.ndarray
    ways: dict[str, object]
    to_edge: np.ndarray
    to_edge_by_borders: np.ndarray
    to_edge_by_tokens: np.ndarray
    to_around: np.ndarray
    tokens: list[Tensor]
    down: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.depth.shape
        return height, width


def click_maps(
    rgb: Float[Tensor, "h w 3"],
    depth: Float[Tensor, "h w"],
    camera: Cameras,
    down: Float[Tensor, "3"],
    classes: PixelClasses | None,
) -> ClickMaps:
    """The maps of a view, reduced to ``WIDTH`` pixels.

    Args:
        rgb: 0..1.
        depth: z-depth, ``inf`` for the sky.
        camera: of the view.
        down: direction of gravity in the world.
        classes: what its pixels show, at any size; None: nothing is told.
    """
    import cv2

    small = camera.coarse(min(WIDTH, camera.width))
    size = (small.height, small.width)
    tokens = _tokens(rgb, size)
    rgb = F.interpolate(rgb[None].permute(0, 3, 1, 2), size=size, mode="area")[0].permute(1, 2, 0).contiguous()
    depth = F.interpolate(depth[None, None], size=size, mode="nearest-exact")[0, 0]
    finite = torch.isfinite(depth)
    depth = torch.where(finite, depth, 4 * depth[finite].amax() if finite.any() else 1.0)
    normals = surface_normals(depth[None], small).permute(0, 3, 1, 2)
    normals = F.normalize(F.avg_pool2d(normals, 5, 1, 2, count_include_pad=False)[0].permute(1, 2, 0), dim=-1)
    lab = torch.from_numpy(cv2.cvtColor(rgb.numpy(), cv2.COLOR_RGB2LAB)) / 100
    labels, things = torch.zeros(size, dtype=torch.int64), torch.zeros(size, dtype=torch.int64)
    if classes is not None:
        here = classes.at(small.width, small.height)
        labels, things = here.labels.long(), here.things.long()
    stands = torch.isin(labels, torch.tensor(list(STANDS)))
    kinds = torch.where(stands, 100 + things, labels)
    ways = _ways(lab, depth.log(), normals, kinds, tokens[-1])
    edge = torch.ones(size, dtype=torch.bool)
    edge[1:-1, 1:-1] = False
    to_edge, to_edge_by_borders, to_edge_by_tokens = (_distances(ways[name], edge) for name in ("all", "borders", "tokens"))
    to_around = _distances(ways["all"], ~stands) if not stands.all() else np.full(size, FAR)
    return ClickMaps(
        lab.numpy(), depth.numpy(), small.unproject(depth[None])[0].numpy(), normals.numpy(), kinds.numpy(), labels.numpy(),
        stands.numpy(), ways, to_edge, to_edge_by_borders, to_edge_by_tokens, to_around, tokens, down.numpy(),
    )  # fmt: skip


def _tokens(rgb: Float[Tensor, "h w 3"], size: tuple[int, int]) -> list[Float[Tensor, "c H W"]]:
    """Tokens of a picture without what all of them have in common, each of length 1, at each pixel of its view at a size."""
    maps = PictureTokens.embedded(TOKENS)(rgb[None])
    own = [F.normalize(maps[layer] - maps[layer].mean((2, 3), keepdim=True), dim=1) for layer in LAYERS]
    return [F.normalize(F.interpolate(tokens, size=size, mode="bilinear")[0], dim=0) for tokens in own]


def _ways(
    lab: Float[Tensor, "h w 3"],
    log_depth: Float[Tensor, "h w"],
    normals: Float[Tensor, "h w 3"],
    kinds: Int[Tensor, "h w"],
    tokens: Float[Tensor, "c h w"],
) -> dict[str, object]:
    """Graphs of the pixels and their eight neighbours, for each kind of cost."""
    from scipy.sparse import coo_matrix

    height, width = log_depth.shape
    number = torch.arange(height * width).view(height, width)
    columns: list[list[Tensor]] = []
    for below, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = slice(0, height - below), slice(max(0, -right), width - max(0, right))
        there = slice(below, height), slice(max(0, right), width + min(0, right))
        colour = (lab[here] - lab[there]).norm(dim=-1)
        jump = ((log_depth[here] - log_depth[there]).abs() - SMOOTH_DEPTH).clamp_min(0)
        bend = (1 - (normals[here] * normals[there]).sum(-1)).clamp(0, 2)
        other = (kinds[here] != kinds[there]).float()
        token = (1 - (tokens[:, *here] * tokens[:, *there]).sum(0)).clamp_min(0)
        length = torch.full_like(colour, (below + abs(right)) ** 0.5)
        columns.append([v.flatten() for v in (number[here], number[there], colour, jump, bend, other, token, length)])
    start, end, colour, jump, bend, other, token, length = (torch.cat(parts) for parts in zip(*columns, strict=True))
    change = COLOUR * colour + DEPTH * jump + NORMAL * bend + KIND * other
    costs = {
        "colour": (STEP + 0.4 * colour) * length,
        "depth": (STEP + 6 * jump) * length,
        "normal": (STEP + 0.1 * bend) * length,
        "kind": (STEP / 2 + other) * length,
        "tokens": (STEP / 10 + token) * length,
        "all": (STEP + change) * length,
        # The third power makes one strong border cost more than many weak ones.
        "borders": (change / STRONG) ** 3 * length + 1e-5,
    }
    ends = start.numpy(), end.numpy()
    return {name: coo_matrix((cost.numpy(), ends), shape=(number.numel(),) * 2).tocsr() for name, cost in costs.items()}


def _distances(graph: object, sources: Bool[Tensor, "h w"]) -> np.ndarray:
    """Costs of the cheapest ways from each pixel to the nearest of some, ``[h, w]``."""
    from scipy.sparse.csgraph import dijkstra

    found = dijkstra(graph, directed=False, indices=np.flatnonzero(sources.numpy()), min_only=True)
    return np.asarray(found).reshape(sources.shape)


def click_features(maps: ClickMaps, row: int, column: int) -> Float[Tensor, "f h w"]:
    """The features of all pixels relative to the one at a row and column of the reduced view."""
    height, width = maps.size
    here = row, column
    clicked = torch.zeros(maps.size, dtype=torch.bool)
    clicked[here] = True
    distances = {name: _distances(graph, clicked) for name, graph in maps.ways.items()}
    near = np.log(distances["all"] + SMALL)
    to_edge, to_around = np.log(maps.to_edge + SMALL), np.log(maps.to_around + SMALL)
    edge_borders = np.cbrt(maps.to_edge_by_borders)
    around_click = maps.lab[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].reshape(-1, 3)
    colour = maps.lab - around_click.mean(0)
    log_depth = np.log(maps.depth)
    behind = np.clip(log_depth - log_depth[here], -1.5, 1.5)
    offset = (maps.points - maps.points[here]) / maps.depth[here]
    up = -(offset @ maps.down)
    aside = np.linalg.norm(offset + up[..., None] * maps.down, axis=-1)
    off_plane = offset @ maps.normals[here]
    rows, columns = np.mgrid[:height, :width]
    alike = [_likeness(tokens, tokens[:, row, column]) for tokens in maps.tokens]
    regions = [_region(maps, layer, least, here) for layer, least in REGIONS]
    by_tokens, tokens_to_edge = np.log(distances["tokens"] + SMALL), np.log(maps.to_edge_by_tokens + SMALL)
    same_kind = maps.kinds == maps.kinds[here]
    features = [
        *(np.log(distances[name] + SMALL) for name in ("colour", "depth", "normal", "kind", "all")),
        np.cbrt(distances["borders"] + 1e-4),
        near - to_edge, near - to_edge[here], to_edge, edge_borders, edge_borders[here],
        near - to_around[here], to_around, to_around[here],
        np.abs(colour[..., 0]), np.hypot(colour[..., 1], colour[..., 2]),
        behind, np.abs(behind),
        np.clip(up, -2, 2), np.clip(np.abs(up), 0, 2), np.clip(aside, 0, 3),
        maps.normals @ maps.normals[here], maps.normals @ maps.down, maps.normals[here] @ maps.down,
        np.clip(np.abs(off_plane), 0, 1), np.clip(off_plane, -1, 1),
        maps.stands, maps.stands[here], same_kind, same_kind.mean(),
        maps.labels == PixelClass.FLOOR, maps.labels[here] == PixelClass.FLOOR,
        maps.labels == PixelClass.WALL, maps.labels[here] == PixelClass.WALL,
        *(map for region in regions for map in (region[0], region[1], region[0].mean())),
        *alike, alike[-1].mean(), by_tokens, by_tokens - tokens_to_edge, by_tokens - tokens_to_edge[here], tokens_to_edge[here],
        np.hypot(rows - row, columns - column) / width, (rows - row) / width, np.abs(columns - column) / width,
    ]  # fmt: skip
    return torch.from_numpy(np.stack([np.broadcast_to(f, maps.size) for f in features]).astype(np.float32))


def region_alike(maps: ClickMaps, row: int, column: int) -> Bool[Tensor, "h w"]:
    """The connected pixels around one whose tokens are alike: most often all of a person, an animal, a building."""
    layer, least = WHOLE
    return torch.from_numpy(_region(maps, layer, least, (row, column))[0])


def _region(maps: ClickMaps, layer: int, least: float, clicked: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The connected pixels around a clicked one that are like the mean of their own tokens, and how much all pixels are.

    Args:
        layer: place in ``LAYERS``.
        least: likeness of the region's pixels at least.
    """
    from scipy.ndimage import label

    tokens, log_depth = maps.tokens[layer], np.log(maps.depth)
    steps = [np.abs(np.diff(log_depth, axis=axis, prepend=log_depth.take([0], axis))) for axis in (0, 1)]
    whole = np.maximum(*steps) <= TORN
    alike, limit, region = _likeness(tokens, tokens[:, *clicked]), max(least, SEED), np.zeros(whole.shape, bool)
    for _ in range(REGION_ROUNDS):
        inside = (alike > limit) & whole
        inside[clicked] = True
        parts, _ = label(inside)  # type: ignore[misc]
        region = parts == parts[clicked]
        mean = F.normalize(tokens[:, torch.from_numpy(region)].mean(1), dim=0)
        alike, limit = _likeness(tokens, mean), least
    return region, alike


def _likeness(tokens: Float[Tensor, "c h w"], like: Float[Tensor, " c"]) -> np.ndarray:
    """Cosines between each pixel's token and another one of length 1, ``[h, w]``."""
    return torch.einsum("c,chw->hw", like, tokens).numpy()
