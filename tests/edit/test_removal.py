"""What is taken away is gone, and its surroundings go on."""

from __future__ import annotations

import pytest
import torch
from splatmem.depth.behind import continue_behind
from splatmem.edit.removal import fill_holes, settled, take_away
from splatmem.edit.selection import Box, Region, Thing
from splatmem.edit.stored_views import shown_among
from splatmem.explore.loop import ExploreSettings
from splatmem.extrapolate.continuation import Guide, continue_colours
from splatmem.gaussians import Gaussians
from splatmem.inpaint.classical import ClassicalInpainter
from splatmem.inpaint.migan.inpainter import FrameByFrame
from splatmem.memory import SpatialMemory
from splatmem.metrics import psnr
from splatmem.timing import StageClock
from thing_before_wall import BLOCK, HEIGHT, MIDDLE, WALL, WIDTH, camera, memory, picture


def no_model(*_: object, **__: object) -> None:
    raise AssertionError("depth goes on from around: no model is asked")


def without_block(**options) -> tuple[SpatialMemory, torch.Tensor]:
    before = memory()
    removal = take_away(before, Thing(camera(), MIDDLE).mask(before))
    hole = ~removal.memory.read(camera()).known[0]
    generator = torch.Generator().manual_seed(0)
    fill_holes(removal, no_model, ExploreSettings(), StageClock(), generator, **options)  # type: ignore[arg-type]
    return settled(removal, len(before.views)), hole


def test_nothing_red_is_left_and_the_hole_covers_the_block() -> None:
    before = memory()
    removal = take_away(before, Thing(camera(), MIDDLE).mask(before))
    now = removal.memory.read(camera())
    red = (now.rgb[0, ..., 0] > 0.6) & (now.rgb[0, ..., 1] < 0.25) & now.known[0]
    assert not red.any(), "no rim of the block is left"
    left, top, right, bottom = BLOCK
    assert not now.known[0, top:bottom, left:right].any()
    around = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    around[top - 9 : bottom + 9, left - 9 : right + 9] = False
    assert now.known[0][around].all(), "what is not near the block stays known"


def test_wall_goes_on_as_wall_and_floor_as_floor() -> None:
    after, hole = without_block()
    now, rgb = after.read(camera()), picture(with_block=False)[0]
    depth = memory(with_block=False).read(camera()).depth[0]
    assert now.known[0].all()
    assert ((now.depth[0] / depth - 1).abs()[hole] < 0.05).float().mean() > 0.9
    assert psnr(now.rgb[0], rgb, hole) > 21
    smeared = without_block(inpainter=ClassicalInpainter("push-pull"))[0].read(camera())
    assert psnr(now.rgb[0], rgb, hole) > psnr(smeared.rgb[0], rgb, hole) + 1, "stripes and boards go on"


def test_the_stored_photo_shows_what_is_there_now() -> None:
    after, hole = without_block()
    view = after.views[0]
    assert psnr(after.first_photo, after.read(camera()).rgb[0], hole) > 35
    assert (view.depth[hole] > 1.8).all()
    assert view.written.all()
    assert after.num_given_views == 1
    assert view.gaussians[1] == after.views[1].gaussians[0]


def test_unfilled_the_place_is_unknown_and_counts_as_never_written() -> None:
    before = memory()
    removal = take_away(before, Thing(camera(), MIDDLE).mask(before))
    after = settled(removal, 1)
    unknown = ~after.read(camera()).known[0]
    assert unknown.sum() >= (BLOCK[2] - BLOCK[0]) * (BLOCK[3] - BLOCK[1])
    assert not after.views[0].written[unknown].any()


def test_two_planes_meet_where_they_do_in_the_room() -> None:
    depth, truth = picture(with_block=True)[1], picture(with_block=False)[1]
    hole = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    hole[BLOCK[1] - 1 : BLOCK[3] + 1, BLOCK[0] - 1 : BLOCK[2] + 1] = True
    behind = continue_behind(depth, ~hole, hole, depth)
    assert ((behind.depth / truth - 1).abs()[hole] < 0.02).float().mean() > 0.97
    assert torch.equal(behind.depth[~hole], depth[~hole])
    assert len(behind.label[hole].unique()) == 2


def test_sky_goes_on_as_sky() -> None:
    depth = torch.full((40, 60), torch.inf)
    hole = torch.zeros(40, 60, dtype=torch.bool)
    hole[10:20, 20:40] = True
    behind = continue_behind(depth, ~hole, hole, torch.full((40, 60), 2.0))
    assert torch.isinf(behind.depth).all()


def test_a_pattern_goes_on_in_colours_alone() -> None:
    u, v = torch.meshgrid(torch.arange(60), torch.arange(80), indexing="ij")
    rgb = torch.stack([((u // 4 + v // 4) % 2).float()] * 3, dim=-1) * 0.6 + 0.2
    hole = torch.zeros(60, 80, dtype=torch.bool)
    hole[20:40, 30:52] = True
    given = torch.where(hole[..., None], 0.0, rgb)
    filled = continue_colours(given, ~hole, hole, Guide.plain(hole), torch.Generator().manual_seed(0))
    assert torch.equal(filled[~hole], rgb[~hole])
    assert psnr(filled, rgb, hole) > 15, "the checks are there, and in phase"
    again = continue_colours(given, ~hole, hole, Guide.plain(hole), torch.Generator().manual_seed(0))
    assert torch.equal(filled, again)


class Painter(FrameByFrame):
    """Paints all that is missing grey, and knows how often it was asked."""

    def __init__(self) -> None:
        super().__init__(lambda rgb, known: torch.where(known[..., None], rgb, 0.5))
        self.asked = 0

    def __call__(self, partial, **more):
        self.asked += 1
        return super().__call__(partial, **more)


def seen_from_aside() -> SpatialMemory:
    """The block before the wall, and the same from a step aside, which sees more of what stands beside the block."""
    made, aside = memory(), camera().moved(right=0.6)
    reading = made.read(aside)
    made.write(reading.rgb[0], torch.where(reading.known[0], reading.depth[0], WALL), aside, ~reading.known[0])
    return made


def test_a_thin_rest_of_the_hole_in_a_second_view_goes_on_from_around() -> None:
    before = seen_from_aside()
    removal, painter = take_away(before, Thing(camera(), MIDDLE).mask(before)), Painter()
    settings, generator = ExploreSettings(), torch.Generator().manual_seed(0)
    assert fill_holes(removal, no_model, settings, StageClock(), generator, painter) == 2  # type: ignore[arg-type]
    assert painter.asked == 1
    assert settled(removal, 2).read(camera().moved(right=0.6)).known[0].float().mean() > 0.97


def test_what_cannot_be_taken_away() -> None:
    before = memory()
    with pytest.raises(ValueError, match="the selection is empty"):
        take_away(before, Box((8, 8, 8), (9, 9, 9)).mask(before))
    with pytest.raises(ValueError, match="holds the whole scene"):
        take_away(before, torch.ones(len(before.gaussians), dtype=torch.bool))


def test_a_wide_gaussian_shows_only_where_nothing_stands_before_it() -> None:
    """A hole is where a thing is missed, not how far its Gaussians reach under what stands before them."""
    wide = torch.tensor([[0.0, 0.0, 3.0]])
    near = torch.tensor([[x, y, 1.0] for x in torch.linspace(-0.6, -0.02, 30) for y in torch.linspace(-0.4, 0.4, 40)])
    means = torch.cat([wide, near])
    log_scales = torch.full_like(means, 0.02).log()
    log_scales[0] = torch.tensor(0.5).log()
    gaussians = Gaussians(
        means=means,
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(len(means), 4).contiguous(),
        log_scales=log_scales,
        opacity_logits=torch.full((len(means),), 6.0),
        sh=torch.zeros(len(means), 1, 3),
    )
    chosen = torch.arange(len(means)) == 0
    shown = shown_among(gaussians, chosen, camera())
    assert shown is not None
    height, width = shown.where.shape
    middle = shown.where[height // 2]
    assert not middle[width // 4 : width // 2 - 6].any()
    assert middle[width // 2 + 6 : width // 2 + 12].all()
    assert torch.equal(shown.depth > 0, shown.where)


def test_what_was_guessed_behind_a_thing_does_not_show_through_the_hole() -> None:
    before = memory()
    red, depth = picture(with_block=True)
    left, top, right, bottom = BLOCK
    hidden = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    hidden[top - 4 : bottom, left - 4 : right + 4] = True
    before.write_behind(torch.zeros_like(red), torch.full_like(depth, 2.9), camera(), hidden)
    removal = take_away(before, Thing(camera(), MIDDLE).mask(before))
    now = removal.memory.read(camera())
    assert not now.known[0, top:bottom, left:right].any(), "what goes on there is found anew"


def test_a_frame_of_another_colour_goes_with_the_picture_in_it() -> None:
    rgb, depth = picture(with_block=True)
    left, top, right, bottom = BLOCK
    framed = rgb.clone()
    framed[top:bottom, left:right] = torch.tensor([0.05, 0.6, 0.1])
    framed[top + 3 : bottom - 3, left + 3 : right - 3] = rgb[top + 3 : bottom - 3, left + 3 : right - 3]
    made = SpatialMemory(down=torch.tensor([0.0, 1.0, 0.0]))
    made.write(framed, depth, camera(), torch.ones(HEIGHT, WIDTH, dtype=torch.bool))
    made.refine(4)
    inner = Region(camera(), [(left + 3.0, top + 3.0), (right - 3.0, bottom - 3.0)]).mask(made)
    now = take_away(made, inner).memory.read(camera())
    green = now.known[0] & (now.rgb[0, ..., 1] > 0.4) & (now.rgb[0, ..., 0] < 0.25)
    assert green.sum() < 0.02 * (right - left) * (bottom - top)
