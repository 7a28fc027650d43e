"""Which Gaussians a selection means."""

from __future__ import annotations

import json

import pytest
import torch
from splatmem.edit.selection import Box, HalfSpace, Region, Selection, Sphere, Stroke, Thing, selection_of_json
from splatmem.memory import SpatialMemory
from thing_before_wall import BLOCK, BLOCK_DEPTH, MIDDLE, WALL, camera, memory


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
