"""Whether a place can be shown again without a stranger noticing: whether what it shows comes again in it.

A meadow, a forest and a papered wall are made of what comes again and again. A facade, an animal or a tool shed shows at each
place what no other place shows, and stretches of it that come twice are seen to come twice. What is out of focus, a smooth sea
or a plain wall has nothing fine that would have to go on.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from splatmem.geometry.filters import dilate
from splatmem.geometry.push_pull import push_pull

# The bounds were chosen on one half of the photos that docs/evaluation.md names under "What may lie around".
LEFT = 0.2  # share of a picture that must be left of the place
KNOWN_AGAIN = 0.25  # share of that which a stranger may know again
WIDTH = 256  # pixels to which the picture is reduced: how much it varies depends on it
FINE, WIDE = 0.01, 0.2  # of the picture's width: blurs between which lies what makes up a place
PLAIN = 0.03  # how much a place varies between them, up to which it is plain
SHARP, SHARP_INDOORS = 0.65, 0.45  # how much it varies from pixel to pixel, relative to that: less is out of focus, or smooth;
# walls are smoother than what grows, and light and shadow lie on them
ALONE = 0.4  # share of a place from which on too much of it does not come again
COLUMNS = 64  # of the pictures whose patches are compared: what is smaller than a sixty-fourth of a view is texture
RADIUS = 2  # of the patches: a twelfth of the view is what is seen at a glance
APART = 0.15  # of the view: nearer, a patch is found in its own continuation
HEIGHTS = 2  # rows up and down in which a patch may be found again: what lies higher or lower is something else
COVERED = 0.5  # share of a cell, and of a pair of patches, that must be known
UNLIKE = 0.1  # difference of colours (root mean square) from which two patches are not taken for each other
OUTSTANDING = 2.0  # times the median over the place of such differences: a patch that is rare there
FEW = 0.05  # share of the place that may be rare


def recurs(
    rgb: Float[Tensor, "h w 3"],
    left: Bool[Tensor, "h w"],
    known_again: Bool[Tensor, "h w"],
    unlike: Float[Tensor, "h w"],
    indoors: bool = False,
) -> bool:
    """Whether what is left of a picture can be shown again all around it.

    Args:
        rgb: 0..1.
        left: pixels of the place, without what is taken away.
        known_again: pixels of what a stranger would know again.
        unlike: what ``unlikeness`` says of the same pixels.
        indoors: whether the picture shows a room.
    """
    if left.float().mean() < LEFT or (left & known_again).sum() > KNOWN_AGAIN * left.sum():
        return False
    fine, coarse = _variation(rgb, left)
    sharp = SHARP_INDOORS if indoors else SHARP
    return coarse > PLAIN and fine > sharp * coarse and (unlike[left] > UNLIKE).float().mean().item() < ALONE


def rare(unlike: Float[Tensor, "h w"], left: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Pixels of a place that recurs which are like no others: a runner on a meadow, a path, one red plant among green ones.

    None where much is as unlike, as rocks and snow on a mountain are: of that the place is made.
    """
    outstanding = left & torch.isfinite(unlike) & (unlike > max(UNLIKE, OUTSTANDING * unlike[left].median().item()))
    if outstanding.sum() > FEW * left.sum():
        return torch.zeros_like(left)
    return left & dilate(outstanding[None], round(RADIUS * left.shape[1] / COLUMNS))[0]


def _variation(rgb: Float[Tensor, "h w 3"], left: Bool[Tensor, "h w"]) -> tuple[float, float]:
    """How much colours vary from pixel to pixel, and along rows from place to place (root mean squares)."""
    width = min(WIDTH, rgb.shape[1])
    size = (max(1, round(width * rgb.shape[0] / rgb.shape[1])), width)
    colours, covered = _reduced(rgb, left, size)
    filled, there = push_pull(colours, covered.float())[0].permute(1, 2, 0).numpy(), covered[0, 0].numpy()

    def blurred(down: float, along: float) -> Float[np.ndarray, "h w 3"]:
        return ndimage.gaussian_filter(filled, (down * width, along * width, 0), mode="nearest", truncate=3)

    def spread(difference: Float[np.ndarray, "h w 3"]) -> float:
        return float(np.square(difference[there]).sum(-1).mean()) ** 0.5

    return spread(filled - blurred(FINE, FINE)), spread(blurred(2 * FINE, 2 * FINE) - blurred(FINE, WIDE))


def unlikeness(rgb: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """How much the patch around each pixel differs in colour from the one that is most like it, at about its height and
    elsewhere along it; ``inf`` where there is none to compare it with.

    Args:
        rgb: 0..1.
        known: pixels that count.
    """
    rows = max(1, round(COLUMNS * rgb.shape[0] / rgb.shape[1]))
    colours, there = _reduced(rgb, known, (rows, COLUMNS))
    count = (2 * RADIUS + 1) ** 2

    def patches(maps: Float[Tensor, "1 c r k"]) -> Float[Tensor, "n r k"]:
        padded = F.pad(maps, (RADIUS,) * 4, mode="replicate")
        return F.unfold(padded, 2 * RADIUS + 1).view(-1, rows, COLUMNS)

    shown = patches(there.float()).repeat(3, 1, 1)
    colours = patches(colours) * shown
    column = torch.arange(COLUMNS)
    near = (column[:, None] - column).abs() <= APART * COLUMNS
    least = torch.full((rows, COLUMNS), torch.inf)
    for step in range(-min(HEIGHTS, rows - 1), min(HEIGHTS, rows - 1) + 1):
        own, other = slice(max(0, -step), min(rows, rows - step)), slice(max(0, step), min(rows, rows + step))

        def product(a: Tensor, b: Tensor, own: slice = own, other: slice = other) -> Float[Tensor, "r k k"]:
            return torch.einsum("nrk,nrl->rkl", a[:, own], b[:, other])

        both = product(shown, shown)
        squares = product(colours.square(), shown) + product(shown, colours.square()) - 2 * product(colours, colours)
        barred = near | (both < COVERED * 3 * count) | ~there[0, 0, other, None, :]
        least[own] = torch.minimum(least[own], (squares / both.clamp_min(1)).masked_fill(barred, torch.inf).amin(-1))
    return F.interpolate(least.clamp_min(0).sqrt()[None, None], size=rgb.shape[:2], mode="nearest-exact")[0, 0]


def _reduced(
    rgb: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"], size: tuple[int, int]
) -> tuple[Float[Tensor, "1 3 r k"], Bool[Tensor, "1 1 r k"]]:
    """Mean colours of what is known in cells of a picture, and the cells that are known."""
    weight = F.interpolate(known[None, None].float(), size=size, mode="area")
    sums = F.interpolate((rgb * known[..., None]).permute(2, 0, 1)[None], size=size, mode="area")
    return sums / weight.clamp_min(1e-6), weight > COVERED
