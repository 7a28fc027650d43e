"""Fills a hole from its surroundings, patch by patch: wall goes on as wall, floor as floor.

Each patch that touches the hole is made of the patch of the surroundings that is most like it, from coarse to fine (Wexler et
al. 2007), found by spreading good matches and by random search (PatchMatch, Barnes et al. 2009). What goes on on a surface is
taken from that surface alone: a floor is made of floor. Among its patches, those are best that are like in colour, as far away,
and near to the hole.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from splatmem.geometry.distance import distance_inside, thickness
from splatmem.geometry.filters import dilate
from splatmem.geometry.push_pull import push_pull
from splatmem.render.extension import load_kernels
from splatmem.threads import kernel_threads

RADIUS = 3  # pixels of a patch to each side
MARGIN = 1.0  # how far around the hole is looked for patches, in units of its size
COARSEST = 10  # pixels across the hole on the coarsest level
ROUNDS = (1, 3, 5, 8)  # of search and vote, from the finest level up; the last number for all further ones
FINE_REACH = 8.0  # pixels around a match within which the finest level looks for a better one
DEPTH_WEIGHT = 0.4  # of a factor e in depth
NEARNESS = 0.04  # of a way as long as the hole's size
RIM = 0.12  # width of the hole's rim, in units of its size
BINS = 12  # of each colour channel, in which colours of the rim are found again
RARE = 0.004  # share of the rim that a colour needs to count
LIGHT = 0.05  # difference of colour up to which it is one of light, to be evened out
SIMILAR = 0.02  # mean squared difference that still gets a vote of a third
FOREIGN = 0.01  # weight of a vote by a pixel of another surface: it counts only where there is no other


@dataclass(frozen=True)
class Guide:
    """What a patch must be like beside its colours, ``[h, w]`` each.

    Attributes:
        surface: numbers of surfaces; negative where a pixel belongs to none.
        log_depth: natural logarithm of depth.
    """

    surface: Int[Tensor, "h w"]
    log_depth: Float[Tensor, "h w"]

    @staticmethod
    def plain(hole: Bool[Tensor, "h w"]) -> Guide:
        """One surface everywhere."""
        return Guide(torch.zeros(hole.shape, dtype=torch.int64), torch.zeros(hole.shape))


def continue_colours(
    rgb: Float[Tensor, "h w 3"],
    known: Bool[Tensor, "h w"],
    hole: Bool[Tensor, "h w"],
    guide: Guide,
    generator: torch.Generator,
    *,
    fine_search: bool = True,
    nearness: float = NEARNESS,
) -> Float[Tensor, "h w 3"]:
    """The picture with its hole filled.

    Args:
        rgb: 0..1, meaningful where known.
        known: pixels that may be taken from.
        hole: pixels to fill.
        guide: of both.
        generator: of the random search.
        fine_search: whether patches are looked for at full size. Without it they are those that fit at half the size, in a
            third of the time.
        nearness: difference of colour that weighs as much as a way as long as the hole's size. Light changes from place to
            place: near patches bring that of the hole with them.
    """
    if not hole.any() or not (known & ~hole).any():
        return rgb
    part = _around(hole)
    if not (known & ~hole)[part].any():  # all that may be taken from is farther away
        part = (slice(None), slice(None))
    source = known[part] & ~hole[part]
    surface = _large_enough(guide.surface[part], source)
    source = _like_rim(rgb[part], source, hole[part], surface)
    filled = _continued(rgb[part], source, hole[part], surface, guide.log_depth[part], generator, fine_search, nearness)
    whole = rgb.clone()
    whole[part] = torch.where(hole[part][..., None], filled, rgb[part])
    return whole


def _around(hole: Bool[Tensor, "h w"]) -> tuple[slice, slice]:
    """The hole's surroundings, as slices."""
    row, column = torch.nonzero(hole, as_tuple=True)
    margin = 8 + int(MARGIN * float(hole.sum()) ** 0.5)
    return (
        slice(max(0, int(row.min()) - margin), int(row.max()) + margin + 1),
        slice(max(0, int(column.min()) - margin), int(column.max()) + margin + 1),
    )


def _large_enough(surface: Int[Tensor, "h w"], source: Bool[Tensor, "h w"]) -> Int[Tensor, "h w"]:
    """The surfaces, without those of which less than a patch may be taken."""
    numbers, counts = surface[source].unique(return_counts=True)
    return torch.where(torch.isin(surface, numbers[counts >= (2 * RADIUS + 1) ** 2]), surface, -1)


def _like_rim(
    rgb: Float[Tensor, "h w 3"], source: Bool[Tensor, "h w"], hole: Bool[Tensor, "h w"], surface: Int[Tensor, "h w"]
) -> Bool[Tensor, "h w"]:
    """Those of the pixels that may be taken from which have colours that their surface shows at the hole's rim: what is
    coloured otherwise is another thing. A surface on which no whole patch is left keeps all of its pixels."""
    away = distance_inside(~hole)
    rim = source & (away <= max(4.0, RIM * float(hole.sum()) ** 0.5))
    kept = source.clone()
    for number in surface[hole].unique().tolist():
        own = source & (surface == number) if number >= 0 else source
        alike = own & same_colours(rgb, rim & own)
        if _patch_places(alike).any():
            kept &= alike | ~own
    return kept


def same_colours(rgb: Float[Tensor, "h w 3"], where: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """The pixels whose colours, or ones close to them, are not rare among the pixels ``where``."""
    bins = (rgb.clamp(0, 0.999) * BINS).long()
    present = torch.zeros(BINS, BINS, BINS)
    present.index_put_(tuple(bins[where].unbind(-1)), torch.ones(()), accumulate=True)
    often = (present > RARE * float(where.sum())).float()
    present = F.max_pool3d(often[None, None], 3, 1, 1)[0, 0] > 0
    return present[bins.unbind(-1)]


@dataclass(frozen=True)
class _Level:
    rgb: Float[Tensor, "h w 3"]
    source: Bool[Tensor, "h w"]
    hole: Bool[Tensor, "h w"]
    surface: Int[Tensor, "h w"]
    log_depth: Float[Tensor, "h w"]

    def shows(self, surfaces: Int[Tensor, " k"]) -> Bool[Tensor, " k"]:
        """Which of the surfaces have pixels that may be taken from."""
        return torch.isin(surfaces, self.surface[self.source])

    def halved(self) -> _Level:
        def pooled(values: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c i j"]:
            return F.avg_pool2d(values, 2, ceil_mode=True, count_include_pad=False)

        hole = F.max_pool2d(self.hole.float()[None, None], 2, ceil_mode=True)[0, 0] > 0
        # What is not taken from shows its colours too: patches must fit beside it.
        shown = (~self.hole).float()[None, None]
        mean = pooled(self.rgb.permute(2, 0, 1)[None] * shown) / pooled(shown).clamp_min(1e-6)
        source = (pooled(self.source.float()[None, None])[0, 0] > 0.99) & ~hole
        return _Level(mean[0].permute(1, 2, 0), source, hole, self.surface[::2, ::2], self.log_depth[::2, ::2])


def _continued(
    rgb: Float[Tensor, "h w 3"],
    source: Bool[Tensor, "h w"],
    hole: Bool[Tensor, "h w"],
    surface: Int[Tensor, "h w"],
    log_depth: Float[Tensor, "h w"],
    generator: torch.Generator,
    fine_search: bool,
    nearness: float,
) -> Float[Tensor, "h w 3"]:
    levels = [_Level(rgb, source, hole, surface, log_depth)]
    needed = surface[hole & (surface >= 0)].unique()
    while thickness(levels[-1].hole) > COARSEST and min(levels[-1].hole.shape) > 6 * RADIUS:
        halved = levels[-1].halved()
        if not halved.source.any() or (levels[-1].shows(needed) & ~halved.shows(needed)).any():
            break  # a surface that goes on in the hole would have nothing left to be made of
        levels.append(halved)
    image: Float[Tensor, "h w 3"] | None = None
    match: Int[Tensor, "h w 2"] | None = None
    for index, level in reversed(list(enumerate(levels))):
        start = _smooth(level) if image is None else _enlarged(image, level)
        image = torch.where(level.hole[..., None], start, level.rgb)
        field = _Field(level, match, generator, nearness)
        rounds = ROUNDS[min(index, len(ROUNDS) - 1)]
        for _ in range(rounds):
            if fine_search or index > 0 or len(levels) == 1:
                field.search(image, FINE_REACH if index == 0 < len(levels) - 1 else torch.inf)
            image = field.vote(image)
        match = field.match_map()
    assert image is not None
    assert match is not None
    return _fitted_to_rim(image, match, levels[0]).clamp(0, 1)


def _fitted_to_rim(image: Float[Tensor, "h w 3"], match: Int[Tensor, "h w 2"], level: _Level) -> Float[Tensor, "h w 3"]:
    """The picture with the light of the hole evened out at its rim.

    Small differences between what is there and what the patches want there go on smoothly into the hole (a membrane, as in
    Pérez et al. 2003).
    """
    height, width = level.hole.shape
    row, column = torch.nonzero(level.hole, as_tuple=True)
    place = match[row, column]
    taken = level.rgb[place[:, 0], place[:, 1]]
    total, shares = torch.zeros(height, width, 3), torch.zeros(height, width, 1)
    size = torch.tensor([height, width])
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beside, source = torch.stack([row + down, column + right], dim=-1), place + torch.tensor([down, right])
        inside = torch.nonzero(((beside >= 0) & (beside < size) & (source >= 0) & (source < size)).all(-1))[:, 0]
        (y, x), (from_y, from_x) = beside[inside].unbind(-1), source[inside].unbind(-1)
        shown = level.source[y, x] & level.source[from_y, from_x]
        at, y, x, from_y, from_x = inside[shown], y[shown], x[shown], from_y[shown], from_x[shown]
        wanted = level.rgb[y, x] + taken[at] - level.rgb[from_y, from_x]
        difference = wanted - image[row[at], column[at]]
        # A large difference is an edge that the patches do not have, or another thing: it would bleed into the hole.
        weight = torch.exp(-0.5 * (difference.norm(dim=-1, keepdim=True) / LIGHT).square())
        total[row[at], column[at]] += weight * difference
        shares[row[at], column[at]] += weight
    mean = total / shares.clamp_min(1e-6)
    spread = push_pull(mean.permute(2, 0, 1)[None], shares.clamp(max=1).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    return torch.where(level.hole[..., None], image + spread, image)


def _patch_places(source: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Middles of patches that are whole in ``source``."""
    whole = ~dilate(~source[None], RADIUS)[0]
    whole[:RADIUS] = whole[-RADIUS:] = False
    whole[:, :RADIUS] = whole[:, -RADIUS:] = False
    return whole


def _smooth(level: _Level) -> Float[Tensor, "h w 3"]:
    """Colours of each surface extended smoothly into its part of the hole."""
    result = push_pull(level.rgb.permute(2, 0, 1)[None], level.source[None, None].float())[0].permute(1, 2, 0)
    for surface in level.surface[level.hole].unique().tolist():
        own = level.source & (level.surface == surface)
        if own.any():
            filled = push_pull(level.rgb.permute(2, 0, 1)[None], own[None, None].float())[0].permute(1, 2, 0)
            result = torch.where((level.surface == surface)[..., None], filled, result)
    return result


def _enlarged(image: Float[Tensor, "h w 3"], level: _Level) -> Float[Tensor, "H W 3"]:
    height, width = level.hole.shape
    larger = F.interpolate(image.permute(2, 0, 1)[None], scale_factor=2, mode="bilinear", align_corners=False)
    return larger[0, :, :height, :width].permute(1, 2, 0)


class _Field:
    """For each patch that touches the hole, the patch of the surroundings that it is made of."""

    def __init__(
        self, level: _Level, coarser: Int[Tensor, "h w 2"] | None, generator: torch.Generator, nearness: float
    ) -> None:
        self.level, self.generator, self.nearness = level, generator, nearness
        self.height, self.width = level.hole.shape
        touched = dilate(level.hole[None], RADIUS)[0]
        self.middles = torch.nonzero(touched).contiguous()
        self.size = max(4.0, float(level.hole.sum()) ** 0.5)
        self.places, self.wanted, self.order = self._places()
        if coarser is None:
            start = torch.full_like(self.middles, -1)
        else:
            row, column = torch.minimum(self.middles // 2, torch.tensor(coarser.shape[:2]) - 1).unbind(-1)
            start = 2 * coarser[row, column] + self.middles % 2
        self.match = self._legal(start)
        self.cost = torch.zeros(len(self.middles))
        self.index = torch.full((self.height, self.width), -1, dtype=torch.int64)
        self.index[touched] = torch.arange(len(self.middles))

    def match_map(self) -> Int[Tensor, "h w 2"]:
        """What each pixel's patch is made of; zeros where none touches the hole."""
        places = torch.zeros(self.height, self.width, 2, dtype=torch.int64)
        places[self.index >= 0] = self.match
        return places

    def _places(self) -> tuple[list[Int[Tensor, "m 2"]], Int[Tensor, " n"], Int[Tensor, "h w"]]:
        """Where patches may be taken from.

        Returns:
            Places: of all surfaces together, and of each that is wanted. Which of these lists each patch is made from, and
            which a pixel is in: -1 for none, 0 for the first alone.
        """
        surface, source = self.level.surface, self.level.source
        whole = _patch_places(source)
        whole = whole if whole.any() else source  # surroundings thinner than a patch: pixels of them will do
        places, order = [torch.nonzero(whole)], whole.long() - 1
        target = surface[self.middles[:, 0], self.middles[:, 1]]
        wanted = torch.zeros_like(target)
        for number in target[target >= 0].unique().tolist():
            own = source & (surface == number)
            own = own & whole if (own & whole).any() else own
            if own.any():
                order[own] = len(places)
                wanted[target == number] = len(places)
                places.append(torch.nonzero(own))
        return places, wanted, order

    def _fit(self, place: Int[Tensor, "n 2"]) -> Bool[Tensor, " n"]:
        """Which patches may be made of these places."""
        row, column = place[:, 0], place[:, 1]
        inside = (row >= 0) & (row < self.height) & (column >= 0) & (column < self.width)
        order = self.order[row.clamp(0, self.height - 1), column.clamp(0, self.width - 1)]
        return inside & torch.where(self.wanted > 0, order == self.wanted, order >= 0)

    def _legal(self, place: Int[Tensor, "n 2"]) -> Int[Tensor, "n 2"]:
        """Places, each brought to a random one where it is none to take from."""
        wrong, place = ~self._fit(place), place.clone(memory_format=torch.contiguous_format)
        for number, places in enumerate(self.places):
            some = torch.nonzero(wrong & (self.wanted == number))[:, 0]
            place[some] = places[torch.randint(len(places), (len(some),), generator=self.generator)]
        return place

    def _with_margin(self, image: Float[Tensor, "h w 3"]) -> Float[Tensor, "i j 3"]:
        """The picture, going on at its edges for as far as patches reach out of it."""
        padded = F.pad(image.permute(2, 0, 1)[None], (RADIUS,) * 4, mode="replicate")
        return padded[0].permute(1, 2, 0).contiguous()

    def search(self, image: Float[Tensor, "h w 3"], most: float) -> None:
        """Improves the matches for the picture as it is; random search looks ``most`` pixels far."""
        reach, steps = min(max(self.height, self.width) / 2, most), []
        while reach >= 1:
            step = (torch.rand(len(self.middles), 2, generator=self.generator) * 2 - 1) * reach
            steps.append(step.round().long())
            reach /= 3
        load_kernels().search_patches(
            self._with_margin(image), self.middles, self.index, self.level.log_depth.contiguous(), self.order, self.wanted,
            torch.stack(steps) if steps else torch.zeros(0, *self.middles.shape, dtype=torch.int64), self.match, self.cost,
            radius=RADIUS, depth_weight=DEPTH_WEIGHT, way_weight=self.nearness / self.size, threads=kernel_threads(),
        )  # fmt: skip

    def vote(self, image: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
        """The picture with each pixel of the hole as the patches over it want it, the good ones most."""
        # Where no patch is like it the least unlike ones count all the same.
        weight = torch.exp(-self.cost / max(SIMILAR**2, float(self.cost.median()))).clamp_min(1e-4)
        wanted = torch.nonzero(self.level.hole).contiguous()
        colours = torch.empty(len(wanted), 3)
        load_kernels().vote_of_patches(
            self._with_margin(image), self.middles, self.index, self.match, weight, self.level.surface.contiguous(), wanted,
            colours, radius=RADIUS, foreign=FOREIGN, threads=kernel_threads(),
        )  # fmt: skip
        filled = image.clone()
        filled[wanted[:, 0], wanted[:, 1]] = colours
        return filled
