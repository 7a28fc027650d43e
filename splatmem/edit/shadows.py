"""The soft shadow that a thing throws on the plain surfaces beside it: what is darker there than the surface is elsewhere."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import binary_closing, binary_opening, gaussian_filter, label
from torch import Tensor

from splatmem.geometry.distance import distance_inside
from splatmem.geometry.filters import dilate

REACH = 1.0  # how far from a thing its shadow is looked for, in units of the thing's size
DARKER = 0.03  # natural logarithm of the light that is missing, at least
CLEARLY = 2.5  # ... and in units of how much the surface's light varies anyway
PLAIN = 0.06  # variation of light (a standard deviation of its logarithm) up to which a shadow can be told from a texture
DARKEST = 0.45  # what has still less light is another thing, and no soft shadow
HUE = 0.02  # difference of a colour's shares of red, green and blue up to which it is the same surface with less light
LARGEST = 1.5  # of a shadow, in units of the thing's area
BORDER = 0.06  # width of its soft border, in units of the thing's size
ROUNDS = 12
FEWEST = 200  # pixels of a surface that tell its light


def shadow_beside(
    rgb: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"], thing: Bool[Tensor, "h w"], kinds: Int[Tensor, "h w"]
) -> Bool[Tensor, "h w"]:
    """Pixels of a thing's shadow that touch it, on surfaces on which it can be measured.

    The light of each surface is a quadratic function of place, fitted to its brighter part: shadows are outliers.

    Args:
        rgb: 0..1.
        known: pixels that show something.
        thing: pixels of the thing and its rim.
        kinds: numbers of the surfaces; negative for what is none, such as other things.
    """
    size = float(thing.sum()) ** 0.5
    away = distance_inside(~thing)
    near = known & ~thing & (away <= max(8.0, REACH * size))
    found, allowed = torch.zeros_like(thing), torch.zeros_like(thing)
    for kind in kinds[near & (kinds >= 0)].unique().tolist():
        own = near & (kinds == kind)
        if int(own.sum()) >= FEWEST:
            dark, other = _darker(rgb, own)
            found |= dark
            allowed |= own & ~other
    parts, count = label(found.numpy())  # type: ignore[misc]
    touching = np.unique(parts[(dilate(thing[None], 3)[0]).numpy()])
    shadow = torch.from_numpy(np.isin(parts, touching[touching > 0])) if count else torch.zeros_like(thing)
    if not shadow.any() or float(shadow.sum()) > LARGEST * float(thing.sum()):
        return torch.zeros_like(thing)
    # Its soft border is part of it.
    return dilate(shadow[None], max(2, round(BORDER * size)))[0] & allowed


def _darker(rgb: Float[Tensor, "h w 3"], own: Bool[Tensor, "h w"]) -> tuple[Bool[Tensor, "h w"], Bool[Tensor, "h w"]]:
    """Pixels of a surface that have less light than it has elsewhere, none where it is not plain; and pixels that are clearly
    something else, or beside it."""
    height, width = own.shape
    row, column = torch.nonzero(own, as_tuple=True)
    weights = gaussian_filter(own.float().numpy(), 1.0)
    smooth = (
        np.stack([gaussian_filter((rgb[..., c] * own).numpy(), 1.0) for c in range(3)], axis=-1)
        / np.maximum(weights, 1e-3)[..., None]
    )
    colours = torch.from_numpy(smooth)[row, column].double().clamp_min(1e-3)
    light = colours.mean(-1).log()
    u, v = (column.double() - width / 2) / width, (row.double() - height / 2) / width
    places = torch.stack([torch.ones_like(u), u, v, u * u, u * v, v * v], dim=-1)
    weight, spread = torch.ones_like(light), torch.tensor(0.0)
    residual = light
    for _ in range(ROUNDS):
        weighted = places * weight[:, None]
        fit = torch.linalg.solve(weighted.T @ places + 1e-6 * torch.eye(6, dtype=torch.float64), weighted.T @ light)
        residual = light - places @ fit
        spread = 1.48 * residual.clamp_min(0)[residual > 0].median() if (residual > 0).any() else torch.tensor(0.0)
        limit = torch.maximum(spread, torch.tensor(0.5 * DARKER))
        weight = torch.where(
            residual < -limit, (limit / residual.abs()) ** 2, (limit / residual.abs().clamp_min(1e-9)).clamp(max=1)
        )
    if spread > PLAIN:
        return torch.zeros_like(own), torch.zeros_like(own)
    dark = residual < -max(DARKER, CLEARLY * float(spread))
    shares = colours / colours.sum(-1, keepdim=True)
    lit = shares[~dark].median(0).values if (~dark).any() else shares.median(0).values
    other = (residual < -DARKEST) | ((shares - lit).abs().amax(-1) > HUE)
    mask, others = torch.zeros_like(own), torch.zeros_like(own)
    mask[row[dark], column[dark]] = True
    others[row[other], column[other]] = True
    others = dilate(others[None], 2)[0]
    mask &= ~others
    opened = binary_opening(binary_closing(mask.numpy(), iterations=1), iterations=1)
    return torch.from_numpy(opened) & own & ~others, others
