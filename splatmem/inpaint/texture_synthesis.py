"""Continues a panorama from its known part by example: every unknown patch becomes like some known patch.

Coarse to fine, patches are matched and overlapping matches are averaged in turn (Kwatra et al. 2005, "Texture optimization for
example-based synthesis"). Coarse levels search all known patches, so that what is where is decided with the whole picture in
view; finer levels only ask what the neighbours have found (Ashikhmin 2001; Barnes et al. 2009). The panorama is circular: its
right end continues on its left.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

PATCH = 5  # side of the patches that are compared, in pixels of each level
REACH = PATCH // 2
EXACT_ROUNDS = (10, 6)  # of the coarse levels, which search all patches
COHERENT_ROUNDS = (3, 2)  # of the finer ones
START_CHOICES = 3
CHUNK = 4096


@dataclass(frozen=True)
class Exemplars:
    """A panorama to continue.

    Attributes:
        picture: channels scaled by how much they matter, colours in 0..1, ``[c, h, w]``; meaningless where not known.
        known: ``[h, w]``.
        elevation: of each row, as a further channel: things stay at their height, ``[h]``.
        foreground: 0..1, what should not be repeated where ``avoid`` is True, ``[h, w]``.
        avoid: known pixels that are made anew, without foreground, ``[h, w]``.
    """

    picture: Float[Tensor, "c h w"]
    known: Bool[Tensor, "h w"]
    elevation: Float[Tensor, " h"]
    foreground: Float[Tensor, "h w"]
    avoid: Bool[Tensor, "h w"]

    def halved(self) -> Exemplars:
        """At half the size; sides must be even."""
        share = F.avg_pool2d(self.known.float()[None], 2)
        mean = F.avg_pool2d(torch.where(self.known, self.picture, 0.0)[None], 2)[0] / share.clamp_min(0.25)
        return Exemplars(
            mean,
            share[0] > 0.99,
            self.elevation.view(-1, 2).mean(1),
            F.avg_pool2d(self.foreground[None], 2)[0],
            F.max_pool2d(self.avoid.float()[None], 2)[0] > 0,
        )

    @property
    def given(self) -> Bool[Tensor, "h w"]:
        """Pixels that stay as they are."""
        return self.known & ~self.avoid


@dataclass(frozen=True)
class Weights:
    """What makes patches alike, as squared differences of colours in 0..1."""

    elevation: float = 1.0
    repetition: float = 0.02
    """Cost of a patch that is used twice as often as the average one."""
    foreground: float = 0.3
    """Cost of a patch of pure foreground where it is to be avoided."""
    clutter: float = 0.015
    """The same elsewhere: rooms show more wall than things."""


def continue_panorama(finest: Exemplars, generator: torch.Generator, *, weights: Weights = Weights()) -> Int[Tensor, "h w"]:
    """For every pixel of the panorama the known pixel, by its flat index, that it looks like; itself where it is given.

    Sides must be multiples of 8. If hardly anything is known there is nothing to copy, and pixels point to themselves.
    """
    levels = [finest]
    for _ in range(len(EXACT_ROUNDS) + len(COHERENT_ROUNDS) - 1):
        levels.append(levels[-1].halved())
    levels.reverse()
    rounds = [*EXACT_ROUNDS, *COHERENT_ROUNDS]
    source: Tensor | None = None
    current: Tensor | None = None
    for index, (level, count) in enumerate(zip(levels, rounds, strict=True)):
        sources = _whole_patches(level.known)
        if not len(sources):
            continue
        if source is None or current is None:
            current = _random_start(level, generator)
        else:
            source = _finer(source, level.known)
            coarse = F.interpolate(current[None], size=level.known.shape, mode="bilinear", align_corners=False)[0]
            picked = level.picture.flatten(1)[:, source.flatten()].view_as(level.picture)
            current = torch.where(level.known.flatten()[source], picked, coarse)
            current = torch.where(level.given, level.picture, current)
        if index < len(EXACT_ROUNDS) or source is None:
            source, current = _exact(level, sources, current, count, weights)
        else:
            source, current = _coherent(level, sources, source, current, count)
    own = torch.arange(finest.known.numel()).view(finest.known.shape)
    return own if source is None else torch.where(finest.given, own, source)


def copy_pixels(
    values: Float[Tensor, "c H W"], known: Bool[Tensor, "H W"], source: Int[Tensor, "h w"]
) -> tuple[Float[Tensor, "c H W"], Bool[Tensor, "H W"]]:
    """A picture put together from its own known pixels as ``source`` says, which may be k times smaller along both sides.

    Neighbouring sources are blended, so that pieces that do not fit have soft seams.

    Returns:
        The picture, and where it could be made.
    """
    height, width = source.shape
    factor = values.shape[1] // height
    rows, columns = torch.arange(values.shape[1])[:, None], torch.arange(values.shape[2])[None]
    total, mass = torch.zeros_like(values), torch.zeros(values.shape[1:])
    flat, usable = values.flatten(1), known.flatten()
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            near_row, near_column = (rows // factor + down).clamp(0, height - 1), (columns // factor + right) % width
            found = source[near_row, near_column]
            row = found // width * factor + rows - near_row * factor
            column = (found % width * factor + columns - (columns // factor + right) * factor) % values.shape[2]
            index = row.clamp(0, values.shape[1] - 1) * values.shape[2] + column
            weight = usable[index] * (4.0 if (down, right) == (0, 0) else 1.0)
            total += flat[:, index.flatten()].view_as(values) * weight
            mass += weight
    return total / mass.clamp_min(1e-6), mass > 0


def _random_start(level: Exemplars, generator: torch.Generator) -> Float[Tensor, "c h w"]:
    """Pieces of the known columns side by side, of random place and width; each thing keeps its height."""
    width = level.known.shape[1]
    share = level.known.float().mean(0)
    columns = torch.nonzero(share >= 0.6 * share.max())[:, 0]
    filled = _fill_columns(torch.where(level.known, level.picture, torch.nan)[:, :, columns])
    clutter = level.foreground[:, columns].mean(0)
    start, at = torch.empty_like(level.picture), 0
    while at < width:
        longest = max(2, len(columns) // 2)
        piece = int(torch.randint(max(1, longest // 2), longest + 1, (1,), generator=generator))
        piece = min(piece, len(columns), width - at)
        # Of a few places the calmest: rooms show more wall than things.
        places = torch.randint(0, len(columns) - piece + 1, (START_CHOICES,), generator=generator).tolist()
        first = min(places, key=lambda place: clutter[place : place + piece].mean().item())
        start[:, :, at : at + piece] = filled[:, :, first : first + piece]
        at += piece
    return torch.where(level.given, level.picture, start)


def _fill_columns(picture: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
    """NaN gives way to the nearest value above or below, else to the picture's mean."""
    for order in (range(1, picture.shape[1]), range(picture.shape[1] - 2, -1, -1)):
        step = 1 if order.step > 0 else -1
        for row in order:
            picture[:, row] = torch.where(picture[:, row].isnan(), picture[:, row - step], picture[:, row])
    return torch.where(picture.isnan(), picture.nanmean((1, 2), keepdim=True).nan_to_num(0.5), picture)


def _patches(picture: Float[Tensor, "c h w"]) -> Float[Tensor, "n f"]:
    """The patch around every pixel, as a row; channel first, then row and column."""
    padded = F.pad(F.pad(picture[None], (REACH, REACH, 0, 0), mode="circular"), (0, 0, REACH, REACH), mode="replicate")
    return F.unfold(padded, PATCH)[0].T.contiguous()


def _bell(channels: int) -> Float[Tensor, " f"]:
    """Weights of a patch's pixels, which sum to 1 for each channel."""
    offset = torch.arange(PATCH) - REACH
    bell = torch.exp(-(offset.square()[:, None] + offset.square()) / 4.0)
    return (bell / bell.sum()).flatten().repeat(channels)


def _whole_patches(known: Bool[Tensor, "h w"]) -> Int[Tensor, " n"]:
    """Indices of the pixels whose whole patch is known."""
    return torch.nonzero(_patches(known.float()[None]).amin(1) > 0.5)[:, 0]


def _to_make(level: Exemplars) -> Int[Tensor, " n"]:
    """Indices of the pixels whose patch holds something that is not given."""
    return torch.nonzero(_patches(level.given.float()[None]).amin(1) < 0.5)[:, 0]


def _exact(
    level: Exemplars, sources: Int[Tensor, " s"], current: Float[Tensor, "c h w"], rounds: int, weights: Weights
) -> tuple[Int[Tensor, "h w"], Float[Tensor, "c h w"]]:
    """Rounds of matching against all known patches, and averaging."""
    targets, bell = _to_make(level), _bell(len(current))
    patches = _patches(level.picture)[sources]
    width = level.known.shape[1]

    def features(patches: Tensor, index: Tensor) -> Tensor:
        return torch.cat([patches * bell.sqrt(), (weights.elevation * level.elevation[index // width])[:, None]], dim=1)

    examples = features(patches, sources)
    foreground = _patches(level.foreground[None])[sources] @ _bell(1)
    dislike = torch.where(level.avoid.flatten()[targets], weights.foreground, weights.clutter)
    crowding = torch.zeros(len(sources))
    found, difference = torch.zeros(len(targets), dtype=torch.long), torch.zeros(len(targets))
    for _ in range(rounds):
        queries = features(_patches(current)[targets], targets)
        for first in range(0, len(targets), CHUNK):
            part = slice(first, first + CHUNK)
            cost = torch.addmm(examples.square().sum(1) + crowding, queries[part], examples.T, alpha=-2)
            cost += dislike[part, None] * foreground
            difference[part], found[part] = cost.min(dim=1)
        difference = (queries - examples[found]).square().sum(1)
        used = torch.bincount(found, minlength=len(sources)).float()
        crowding = 0.5 * crowding + 0.5 * weights.repetition * (used / used.mean() - 1).clamp(-1, 8)
        current = _averaged(level, current, targets, patches[found], difference, bell)
    source = torch.arange(level.known.numel())
    source[targets] = sources[found]
    return source.view(level.known.shape), current


def _coherent(
    level: Exemplars,
    sources: Int[Tensor, " s"],
    source: Int[Tensor, "h w"],
    current: Float[Tensor, "c h w"],
    rounds: int,
) -> tuple[Int[Tensor, "h w"], Float[Tensor, "c h w"]]:
    """Rounds of matching in which a pixel tries what continues the matches of its eight neighbours, and averaging."""
    height, width = level.known.shape
    targets, bell = _to_make(level), _bell(len(current))
    weight = bell.sqrt()
    patches = _patches(level.picture)
    allowed = torch.zeros(level.known.numel(), dtype=torch.bool)
    allowed[sources] = True
    row, column = targets // width, targets % width
    for _ in range(rounds):
        queries = _patches(current)[targets]
        best, found = torch.full((len(targets),), torch.inf), targets.clone()
        for down in (0, -1, 1):
            for right in (0, -1, 1):
                neighbour = source[(row + down).clamp(0, height - 1), (column + right) % width]
                there = (neighbour // width - down).clamp(0, height - 1) * width + (neighbour % width - right) % width
                # Inside a copied piece all neighbours say the same.
                usable = torch.nonzero(allowed[there] & ((there != found) | best.isinf()))[:, 0]
                for part in usable.split(16 * CHUNK):
                    gap = ((queries[part] - patches[there[part]]) * weight).square().sum(1)
                    better = gap < best[part]
                    best[part[better]], found[part[better]] = gap[better], there[part[better]]
        matched = torch.isfinite(best)
        source = source.clone()
        source.view(-1)[targets[matched]] = found[matched]
        chosen = targets[matched]
        current = _averaged(level, current, chosen, patches[found[matched]], best[matched], bell)
    return source, current


def _averaged(
    level: Exemplars,
    current: Float[Tensor, "c h w"],
    targets: Int[Tensor, " n"],
    patches: Float[Tensor, "n f"],
    difference: Float[Tensor, " n"],
    bell: Float[Tensor, " f"],
) -> Float[Tensor, "c h w"]:
    """The overlapping patches' mean, those that fit well counting most; what is given stays."""
    channels, height, width = current.shape
    confidence = (difference.clamp_min(0) + 1e-3) ** -1.2
    mass = confidence[:, None] * bell[: PATCH * PATCH]
    stacked = torch.zeros(height * width, (channels + 1) * PATCH * PATCH)
    stacked[targets] = torch.cat([patches * mass.repeat(1, channels), mass], dim=1)
    padded = F.fold(stacked.T[None], (height + 2 * REACH, width + 2 * REACH), PATCH)[0, :, REACH:-REACH]
    summed = padded[:, :, REACH:-REACH].clone()
    summed[:, :, :REACH] += padded[:, :, -REACH:]
    summed[:, :, -REACH:] += padded[:, :, :REACH]
    mean = summed[:-1] / summed[-1:].clamp_min(1e-9)
    return torch.where(~level.given & (summed[-1] > 0), mean, torch.where(level.given, level.picture, current))


def _finer(source: Int[Tensor, "h w"], known: Bool[Tensor, "H W"]) -> Int[Tensor, "H W"]:
    """The same matches at twice the size."""
    width, (rows, columns) = source.shape[1], known.shape
    row, column = torch.arange(rows)[:, None], torch.arange(columns)[None]
    coarse = source[row // 2, column // 2]
    return (2 * (coarse // width) + row % 2) * columns + 2 * (coarse % width) + column % 2
