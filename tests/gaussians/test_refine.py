"""A fit of what was written last."""

from __future__ import annotations

import pytest
import torch
from splatmem.gaussians import refine as module
from splatmem.gaussians.draw import rasterize
from splatmem.gaussians.lift import lift, sampling_distance
from splatmem.gaussians.refine import refine
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate
from splatmem.memory import SpatialMemory


@pytest.fixture
def written(room_turn: Cameras, room_frames) -> SpatialMemory:
    """A memory whose last write, a strip at the side, is not fitted yet."""
    rgb, depth = room_frames
    memory = SpatialMemory()
    memory.write(rgb[0], depth[0], room_turn[0], torch.ones_like(depth[0], dtype=torch.bool))
    memory.write(rgb[1], depth[1], room_turn[1], ~memory.read(room_turn[1]).known[0])
    return memory


def test_nothing_but_what_is_chosen_changes(written: SpatialMemory) -> None:
    view = written.views[-1]
    fitted = refine(written.gaussians, view.gaussians, view.rgb.float() / 255, view.depth, view.camera, steps=8)
    first, last = view.gaussians
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        assert torch.equal(getattr(fitted, name)[:first], getattr(written.gaussians, name)[:first]), "all others are frozen"
    assert not torch.equal(fitted.sh[first:last], written.gaussians.sh[first:last])


def test_what_does_not_show_is_left_as_it_is(written: SpatialMemory, room_turn: Cameras) -> None:
    view = written.views[-1]
    behind = room_turn[12]
    noise = torch.rand(behind.height, behind.width, 3)
    fitted = refine(written.gaussians, view.gaussians, noise, view.depth, behind, steps=3)
    assert torch.equal(fitted.sh, written.gaussians.sh)


def test_nothing_but_colours_changes_so_trust_stays(written: SpatialMemory, room_turn: Cameras) -> None:
    """The sampling distance, from which trust follows, is what a camera saw: no fit may change it."""
    view, near = written.views[-1], room_turn[1].resized(512, 288)
    before, sampled = written.read(near), sampling_distance(written.gaussians)
    written.refine(60)
    after = written.read(near)
    assert not torch.equal(after.rgb, before.rgb), "something must have been fitted for this to mean something"
    assert 0.05 < before.trust[before.known].mean() < 0.95
    assert torch.equal(after.trust, before.trust)
    assert torch.equal(sampling_distance(written.gaussians), sampled)
    assert view is written.views[-1]


def test_more_steps_do_not_spoil_the_fit(written: SpatialMemory) -> None:
    view = written.views[-1]
    target = view.rgb.float() / 255
    errors = []
    for steps in (0, 2, 8, 40):
        fitted = refine(written.gaussians, view.gaussians, target, view.depth, view.camera, steps)
        errors.append((rasterize(fitted, view.camera).rgb[0] - target)[view.written].square().mean().item())
        colours = fitted.rgb[slice(*view.gaussians)]
        assert -1e-6 <= colours.min() <= colours.max() <= module.BRIGHTEST + 1e-6
    assert errors[1] < 0.5 * errors[0]
    assert max(errors[2:]) < 1.1 * errors[1]


def test_colours_beside_an_outline_stay_those_of_the_picture(room_turn: Cameras) -> None:
    """A dark thing before a pale wall: no bright beads on the wall that would make up for what reaches over the outline."""
    camera = room_turn[0]
    picture, depth = torch.full((camera.height, camera.width, 3), 0.7), torch.full((camera.height, camera.width), 3.0)
    thing = torch.zeros_like(depth, dtype=torch.bool)
    thing[20:50, 30:60] = True
    picture[thing], depth[thing] = 0.1, 2.0
    lifted = lift(picture, depth, camera, torch.ones_like(thing))
    fitted = refine(lifted, (0, len(lifted)), picture, depth, camera, 12)
    pixels, distance = camera.project(fitted.means)
    column, row = pixels[0].floor().long().unbind(-1)
    beside = (distance[0] > 2.5) & dilate(thing[None], 2)[0][row, column]
    assert beside.sum() > 200
    assert fitted.rgb[beside].max() < 0.72
    assert fitted.rgb[beside].min() > 0.68
    assert (rasterize(fitted, camera).rgb[0] - picture).square().mean().log10() * -10 > 26
