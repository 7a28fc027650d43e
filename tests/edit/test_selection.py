"""Which Gaussians a selection means."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.edit.selection import Box, HalfSpace, Region, Selection, Sphere, Stroke, Thing, described_part, selection_of_json
from splatmem.memory import PlainPictures, SpatialMemory
from thing_before_wall import BLOCK, BLOCK_DEPTH, MIDDLE, WALL, camera, memory, picture


@pytest.fixture(scope="module")
def scene() -> SpatialMemory:
    return memory()


def is_block(scene: SpatialMemory) -> torch.Tensor:
    return (scene.gaussians.means[:, 2] - BLOCK_DEPTH).abs() < 0.01


def test_shapes(scene: SpatialMemory) -> None:
    means = scene.gaussians.means
    box = Box((-9, -9, 0), (9, 9, 2.9)).mask(scene)
    assert torch.equal(box, (means[:, 2] >= 0) & (means[:, 2] <= 2.9))
    assert torch.equal(Box((9, 9, 2.9), (-9, -9, 0)).mask(scene), box), "corners in any order"
    assert torch.equal(Sphere((0, 0, WALL), 0.5).mask(scene), (means - torch.tensor([0, 0, WALL])).norm(dim=-1) <= 0.5)
    assert torch.equal(HalfSpace((0, 1, 0), 0.5).mask(scene), means[:, 1] >= 0.5)


def test_sets(scene: SpatialMemory) -> None:
    near, low = HalfSpace((0, 0, -1), -2.0), HalfSpace((0, 1, 0), 0.5)
    assert torch.equal((near & low).mask(scene), near.mask(scene) & low.mask(scene))
    assert torch.equal((near | low).mask(scene), near.mask(scene) | low.mask(scene))
    assert torch.equal((~near).mask(scene), ~near.mask(scene))


def test_parts_are_joined_or_intersected() -> None:
    ball, low = ((0.0, 0.0, WALL), 0.5), ((0.0, 1.0, 0.0), 0.1)
    made = memory()
    either = described_part({}, camera(), {"sphere": ball, "half_space": low}).mask(made)
    both = described_part({}, camera(), {"sphere": ball, "half_space": low, "all_of": True}).mask(made)
    inside, below = Sphere(*ball).mask(made), HalfSpace(*low).mask(made)
    assert torch.equal(either, inside | below)
    assert torch.equal(both, inside & below)
    assert 0 < both.sum() < inside.sum()


def test_grown_and_shrunk(scene: SpatialMemory) -> None:
    middle = torch.tensor([-0.9, 0.0, WALL])
    ball = Sphere(tuple(middle.tolist()), 0.5)
    larger, smaller = ball.grown(0.2).mask(scene), ball.grown(-0.2).mask(scene)
    distance = (scene.gaussians.means - middle).norm(dim=-1)
    assert (ball.mask(scene) <= larger).all()
    assert larger.sum() > ball.mask(scene).sum() > smaller.sum() > 0
    assert distance[larger].max() <= 0.7 + 1e-5
    assert distance[smaller].max() <= 0.5


def test_the_thing_at_a_pixel_is_the_whole_block_and_nothing_else(scene: SpatialMemory) -> None:
    chosen, block = Thing(camera(), MIDDLE).mask(scene), is_block(scene)
    assert (chosen & block).sum() > 0.97 * block.sum()
    assert (scene.gaussians.means[chosen, 2] < 0.8 * WALL).float().mean() > 0.95, "hardly any wall"
    with pytest.raises(ValueError, match="outside of the view of 128x72"):
        Thing(camera(), (200, 10)).mask(scene)


def painted(rgb: torch.Tensor, depth: torch.Tensor) -> SpatialMemory:
    made = SpatialMemory(down=torch.tensor([0.0, 1.0, 0.0]))
    made.write(rgb, depth, camera(), torch.ones(depth.shape, dtype=torch.bool))
    return made


def test_a_foot_of_another_colour_belongs_to_the_thing_that_stands_on_it() -> None:
    rgb, depth = picture(with_block=True)
    left, _, right, bottom = BLOCK
    rgb[bottom - 14 : bottom, left:right] = 0.02
    scene = painted(rgb, depth)
    chosen, block = Thing(camera(), (MIDDLE[0], 36)).mask(scene), is_block(scene)
    assert (chosen & block).sum() > 0.97 * block.sum()
    pixels = camera().project(scene.gaussians.means[chosen])[0][0]
    assert (pixels[:, 1] < bottom + 1).float().mean() > 0.97
    assert ((pixels[:, 0] > left - 2) & (pixels[:, 0] < right + 2)).float().mean() > 0.97


def test_a_picture_on_a_wall_has_no_foot() -> None:
    rgb, depth = picture(with_block=False)
    left, top, right, _ = BLOCK
    rgb[depth == WALL] = 0.6
    rgb[top : top + 12, left:right] = torch.tensor([0.85, 0.1, 0.1])
    scene = painted(rgb, depth)
    chosen = Thing(camera(), (MIDDLE[0], top + 6)).mask(scene)
    rows = camera().project(scene.gaussians.means[chosen])[0][0, :, 1]
    assert (rows < top + 14).float().mean() > 0.97


def test_classes_tell_a_thing_from_a_wall_of_its_colour_close_behind() -> None:
    rgb, depth = picture(with_block=False)
    left, top, right, bottom = BLOCK
    bottom = min(bottom, int((depth == WALL).all(dim=1).sum()))
    rgb[depth == WALL] = 0.7
    depth[top:bottom, left:right] = 2.95
    scene = painted(rgb, depth)
    is_thing = torch.zeros(depth.shape, dtype=torch.bool)
    is_thing[top:bottom, left:right] = True
    labels = torch.where(is_thing, int(PixelClass.THING), int(PixelClass.WALL)).to(torch.uint8)
    pixels = camera().project(scene.gaussians.means)[0][0]
    beside = (pixels[:, 0] < left - 4) | (pixels[:, 0] > right + 4) | (pixels[:, 1] < top - 4)
    assert (Thing(camera(), MIDDLE).mask(scene) & beside).sum() > 200, "without classes the wall goes along"
    view = scene.views[0]
    told = PlainPictures(view.rgb, view.depth, view.written, PixelClasses(labels, is_thing.short()))
    scene.views[0] = replace(view, pictures=told)
    chosen = Thing(camera(), MIDDLE).mask(scene)
    within = (pixels[:, 0] > left) & (pixels[:, 0] < right) & (pixels[:, 1] > top) & (pixels[:, 1] < bottom)
    assert not (chosen & beside).any()
    assert (chosen & within).sum() > 0.7 * within.sum()


def test_a_region_means_what_shows_or_all_behind_it_too(scene: SpatialMemory) -> None:
    left, top, right, bottom = BLOCK
    corners = [(left, top), (right, bottom)]
    shown = Region(camera(), corners).mask(scene)
    assert torch.equal(shown & is_block(scene), is_block(scene))
    polygon = [(left, top), (right, top), (right, bottom), (left, bottom)]
    assert torch.equal(Region(camera(), polygon).mask(scene), shown)
    aside = camera().moved(right=0.6)  # sees wall beside the block, which stands before other wall
    behind = Region(aside, [(0, 0), (128, 72)], through=True).mask(scene)
    assert behind.sum() >= Region(aside, [(0, 0), (128, 72)]).mask(scene).sum()


def test_a_stroke_means_what_shows_under_the_brush(scene: SpatialMemory) -> None:
    left, _, right, _ = BLOCK
    stroke = Stroke(camera(), [(left + 4, 40), (right - 4, 40)], 3.0)
    chosen = stroke.mask(scene)
    pixels = camera().project(scene.gaussians.means)[0][0]
    assert 0 < chosen.sum() < is_block(scene).sum()
    assert (chosen <= is_block(scene)).all(), "not the wall behind it"
    assert (pixels[chosen, 1] - 40).abs().max() <= 3.0
    assert pixels[chosen, 0].max() - pixels[chosen, 0].min() > 0.8 * (right - left)
    dab = Stroke(camera(), [(left + 4, 40)], 3.0).mask(scene)
    assert (dab <= chosen).all()
    assert (pixels[dab] - torch.tensor([left + 4.0, 40.0])).norm(dim=-1).max() <= 3.0
    around_a_corner = Stroke(camera(), [(60, 35), (60, 60), (70, 60)], 2.0)
    assert around_a_corner.mask(scene).sum() > Stroke(camera(), [(60, 35), (60, 60)], 2.0).mask(scene).sum()
    with pytest.raises(ValueError, match="a stroke has a pixel"):
        Stroke(camera(), [], 3.0).mask(scene)


@pytest.mark.parametrize(
    "selection",
    [
        Stroke(camera(), [(60.0, 40.0), (66.0, 50.0)], 4.0),
        Box((0, 0, 0), (1, 1, 2)),
        ~(Sphere((0, 0, 3), 1.0) | HalfSpace((0, 1, 0), 0.5)),
        Thing(camera(), MIDDLE).grown(0.05) & Region(camera(), [(0, 0), (64, 72)]),
    ],
)
def test_a_selection_is_kept_as_json(scene: SpatialMemory, selection: Selection) -> None:
    again = selection_of_json(json.loads(json.dumps(selection.to_json())))
    assert torch.equal(again.mask(scene), selection.mask(scene))


def test_what_is_no_selection() -> None:
    with pytest.raises(ValueError, match="expected the values of a selection"):
        selection_of_json({"kind": "cone"})
