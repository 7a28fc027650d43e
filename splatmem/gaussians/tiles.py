"""Where some Gaussians show in a view, and which others show there too: what a fit of these needs to draw."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.render import rasterization

TILE = 16  # pixels along a side of the tiles in which is counted


@dataclass(frozen=True)
class SharedTiles:
    """The tiles of a view in which chosen Gaussians show.

    Attributes:
        pixels: of these tiles, ``[h, w]``.
        gaussians: those that show in them, and the chosen, in the order of the scene.
        chosen: first and one past the last of the chosen among these.
    """

    pixels: Bool[Tensor, "h w"]
    gaussians: Gaussians
    chosen: tuple[int, int]


@torch.no_grad()
def shared_tiles(gaussians: Gaussians, chosen: tuple[int, int], camera: Cameras, growth: float) -> SharedTiles:
    """What has to be drawn to see the chosen as they show in the whole scene.

    Args:
        chosen: first and one past the last of them.
        camera: one camera.
        growth: factor by which the footprints of the chosen may grow before what is found no longer holds.
    """
    first, last = chosen
    boxes, shown = _tile_boxes(gaussians, camera, slice(first, last), growth)
    rows, columns = math.ceil(camera.height / TILE), math.ceil(camera.width / TILE)
    # Each box is added to a table of sums by its corners; the table, summed up both ways, counts the boxes over each tile.
    top, left, bottom, right = boxes[first:last][shown[first:last]].unbind(-1)
    corners = boxes.new_zeros((rows + 1) * (columns + 1))
    for row, column, sign in ((top, left, 1), (top, right, -1), (bottom, left, -1), (bottom, right, 1)):
        corners.index_add_(0, row * (columns + 1) + column, torch.full_like(row, sign))
    tiles = corners.view(rows + 1, columns + 1).cumsum(0).cumsum(1)[:rows, :columns] > 0
    # Summed up both ways once more, it tells from the corners of any box how many of the tiles lie in it.
    sums = torch.nn.functional.pad(tiles.long().cumsum(0).cumsum(1), (1, 0, 1, 0))
    top, left, bottom, right = boxes.unbind(-1)
    drawn = shown & (sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left] > 0)
    drawn[first:last] = True
    pixels = tiles.repeat_interleave(TILE, 0).repeat_interleave(TILE, 1)[: camera.height, : camera.width]
    before = int(drawn[:first].sum())
    return SharedTiles(pixels, gaussians.select(drawn), (before, before + last - first))


def _tile_boxes(
    gaussians: Gaussians, camera: Cameras, growing: slice, growth: float
) -> tuple[Int[Tensor, "n 4"], Bool[Tensor, " n"]]:
    """First row and column of tiles, and one past the last of each, over which a Gaussian reaches; and whether it does."""
    no_colour = gaussians.means[:, :0] if not gaussians.means.is_cuda else gaussians.means[:, :1]
    meta = rasterization(
        gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, no_colour,
        camera.world_to_cam, camera.intrinsics, camera.width, camera.height, packed=False, render_mode="D",
    )[2]  # fmt: skip
    middle, radii = meta["means2d"][0], meta["radii"][0].to(meta["means2d"].dtype)
    reach = radii.clone()
    reach[growing] *= growth
    size: Float[Tensor, "2"] = middle.new_tensor([camera.width, camera.height])
    low = torch.minimum((middle - reach).clamp_min(0), size)
    high = torch.minimum((middle + reach).clamp_min(0), size)
    boxes = torch.cat([(low / TILE).floor().flip(-1), (high / TILE).ceil().flip(-1)], dim=-1).long()
    shown = (radii > 0).all(-1) & (boxes[:, :2] < boxes[:, 2:]).all(-1)
    return torch.where(shown[:, None], boxes, 0), shown
