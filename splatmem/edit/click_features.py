"""What is measured of a view's pixels relative to one of them, from which a network tells whether both show one thing.

Most of it are geodesic distances: the cheapest way from the clicked pixel to every other one, where steps cost what colour,
depth, normal or class change on them (Bai & Sapiro 2007 segment by such distances). The rest are differences to the clicked
pixel, and what the clicked pixel itself is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.classes import PixelClass, PixelClasses
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
NUM_FEATURES = 37


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
        to_around: cost of the cheapest way to what is around things, ``[h, w]``.
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
    to_around: np.ndarray
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
    ways = _ways(lab, depth.log(), normals, kinds)
    edge = torch.ones(size, dtype=torch.bool)
    edge[1:-1, 1:-1] = False
    return ClickMaps(
        lab.numpy(), depth.numpy(), small.unproject(depth[None])[0].numpy(), normals.numpy(), kinds.numpy(), labels.numpy(),
        stands.numpy(), ways, _distances(ways["all"], edge), _distances(ways["borders"], edge),
        _distances(ways["all"], ~stands) if not stands.all() else np.full(size, FAR), down.numpy(),
    )  # fmt: skip


def _ways(
    lab: Float[Tensor, "h w 3"], log_depth: Float[Tensor, "h w"], normals: Float[Tensor, "h w 3"], kinds: Int[Tensor, "h w"]
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
        length = torch.full_like(colour, (below + abs(right)) ** 0.5)
        columns.append([v.flatten() for v in (number[here], number[there], colour, jump, bend, other, length)])
    start, end, colour, jump, bend, other, length = (torch.cat(parts) for parts in zip(*columns, strict=True))
    change = COLOUR * colour + DEPTH * jump + NORMAL * bend + KIND * other
    costs = {
        "colour": (STEP + 0.4 * colour) * length,
        "depth": (STEP + 6 * jump) * length,
        "normal": (STEP + 0.1 * bend) * length,
        "kind": (STEP / 2 + other) * length,
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
        np.hypot(rows - row, columns - column) / width, (rows - row) / width, np.abs(columns - column) / width,
    ]  # fmt: skip
    return torch.from_numpy(np.stack([np.broadcast_to(f, maps.size) for f in features]).astype(np.float32))
