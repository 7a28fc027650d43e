"""The kernels of patches do what a plain version in PyTorch does."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from splatmem.extrapolate.continuation import (
    DEPTH_WEIGHT,
    FINE_REACH,
    FOREIGN,
    RADIUS,
    SIMILAR,
    Guide,
    _Field,
    _Level,
    continue_colours,
)
from torch import Tensor

HEIGHT, WIDTH = 40, 56


def level(seed: int, *, at_the_edge: bool = False) -> _Level:
    """A picture in steps of 1/64, whose squared differences float32 adds up exactly in any order; depth in steps as well."""
    generator = torch.Generator().manual_seed(seed)
    rgb = torch.randint(0, 64, (HEIGHT, WIDTH, 3), generator=generator) / 64
    hole = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    hole[(28 if at_the_edge else 12) :, 20:33][:15] = True
    surface = (torch.arange(HEIGHT)[:, None] > 20).long().expand(HEIGHT, WIDTH).contiguous()
    surface[:, :4] = -1
    log_depth = torch.randint(0, 16, (HEIGHT, WIDTH), generator=generator) / 8
    return _Level(rgb, ~hole, hole, surface, log_depth)


def field(seed: int, *, at_the_edge: bool = False) -> _Field:
    return _Field(level(seed, at_the_edge=at_the_edge), None, torch.Generator().manual_seed(seed), nearness=0.0625)


def searched(of: _Field, image: Float[Tensor, "h w 3"], most: float) -> tuple[Int[Tensor, "n 2"], Float[Tensor, " n"]]:
    """``_Field.search`` in PyTorch: the matches and what they cost."""
    padded = F.pad(image.permute(2, 0, 1)[None], (RADIUS,) * 4, mode="replicate")
    patches = F.unfold(padded, 2 * RADIUS + 1)[0].T.contiguous()
    here, best = of.middles, of.match.clone()
    target = patches[here[:, 0] * of.width + here[:, 1]]

    def cost_of(place: Int[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        row, column = place.unbind(-1)
        colour = (target - patches[row * of.width + column]).square().mean(-1)
        depth = (of.level.log_depth[row, column] - of.level.log_depth[here[:, 0], here[:, 1]]).abs().clamp(max=1.0)
        way = (place - here).float().norm(dim=-1) / of.size
        return colour + (DEPTH_WEIGHT * depth).square() + (of.nearness * way).square()

    cost = cost_of(best)

    def improve(place: Int[Tensor, "n 2"]) -> None:
        legal = of._fit(place)
        tried = torch.where(legal, cost_of(torch.where(legal[:, None], place, best)), torch.inf)
        better = tried < cost
        best[better], cost[better] = place[better], tried[better]

    for jump in (4, 1):
        for down, right in ((0, jump), (0, -jump), (jump, 0), (-jump, 0)):
            row, column = (here[:, 0] + down).clamp(0, of.height - 1), (here[:, 1] + right).clamp(0, of.width - 1)
            number = of.index[row, column]
            offset = best[number.clamp_min(0)] - here[number.clamp_min(0)]
            improve(torch.where((number >= 0)[:, None], here + offset, best))
    reach = min(max(of.height, of.width) / 2, most)
    while reach >= 1:
        step = (torch.rand(len(here), 2, generator=of.generator) * 2 - 1) * reach
        improve(best + step.round().long())
        reach /= 3
    return best, cost


def voted(of: _Field, image: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
    """``_Field.vote`` pixel by pixel and patch by patch."""
    weight = torch.exp(-of.cost / max(SIMILAR**2, float(of.cost.median()))).clamp_min(1e-4)
    filled, surface = image.clone(), of.level.surface
    for row, column in torch.nonzero(of.level.hole).tolist():
        total, shares = torch.zeros(3), torch.zeros(())
        for number in torch.nonzero((of.middles - torch.tensor([row, column])).abs().amax(1) <= RADIUS)[:, 0].tolist():
            source = of.match[number] + torch.tensor([row, column]) - of.middles[number]
            y, x = int(source[0].clamp(0, of.height - 1)), int(source[1].clamp(0, of.width - 1))
            vote = weight[number] * (1.0 if surface[y, x] == surface[row, column] else FOREIGN)
            total, shares = total + vote * image[y, x], shares + vote
        filled[row, column] = total / shares
    return filled


@pytest.mark.parametrize("most", [torch.inf, FINE_REACH, 0.5])
@pytest.mark.parametrize("at_the_edge", [False, True])
def test_search_finds_what_the_plain_version_finds(most: float, at_the_edge: bool) -> None:
    plain, fast = field(3, at_the_edge=at_the_edge), field(3, at_the_edge=at_the_edge)
    image = plain.level.rgb
    best, cost = searched(plain, image, most)
    assert not torch.equal(best, plain.match), "the search finds better ones"
    fast.search(image, most)
    assert torch.equal(fast.match, best)
    torch.testing.assert_close(fast.cost, cost)


@pytest.mark.parametrize("at_the_edge", [False, True])
def test_votes_are_those_of_the_plain_version(at_the_edge: bool) -> None:
    matched = field(4, at_the_edge=at_the_edge)
    matched.search(matched.level.rgb, torch.inf)
    torch.testing.assert_close(matched.vote(matched.level.rgb), voted(matched, matched.level.rgb), rtol=1e-5, atol=1e-6)


def test_a_pattern_goes_on_whatever_the_number_of_threads() -> None:
    rgb = (((torch.arange(48)[:, None] // 4 + torch.arange(64) // 4) % 2).float() * 0.5 + 0.25)[..., None].repeat(1, 1, 3)
    hole = torch.zeros(48, 64, dtype=torch.bool)
    hole[16:32, 24:44] = True
    filled, threads = [], torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            generator = torch.Generator().manual_seed(0)
            broken = torch.where(hole[..., None], 0.9, rgb)
            filled.append(continue_colours(broken, ~hole, hole, Guide.plain(hole), generator))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*filled)
    assert (filled[0] - rgb)[hole].abs().mean() < 0.02


def test_what_is_far_from_the_hole_is_taken_where_nothing_is_near() -> None:
    rgb, known, hole = torch.zeros(64, 200, 3), torch.zeros(64, 200, dtype=torch.bool), torch.zeros(64, 200, dtype=torch.bool)
    known[:, 180:], hole[20:30, 5:15] = True, True
    rgb[:, 180:] = 0.5
    filled = continue_colours(rgb, known, hole, Guide.plain(hole), torch.Generator().manual_seed(0))
    assert (filled[hole] - 0.5).abs().max() < 0.01
