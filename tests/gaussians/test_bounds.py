"""What is left out of a drawing since a camera cannot show it is nothing that it would show."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from splatmem.gaussians import Gaussians, bounds
from splatmem.gaussians.bounds import GrowingSpheres, Spheres, near_picture
from splatmem.gaussians.draw import rasterize_colours
from splatmem.memory import SpatialMemory

from textured_room import turn


def scattered(count: int, seed: int, spread: float = -3.0, middle: float = 2.0) -> Gaussians:
    """Gaussians of many shapes in a cloud beside the origin."""
    generator = torch.Generator().manual_seed(seed)
    return Gaussians(
        means=middle * torch.randn(3, generator=generator) + 0.5 * torch.randn(count, 3, generator=generator),
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1),
        log_scales=spread + torch.randn(count, 3, generator=generator),
        opacity_logits=torch.full((count,), 5.0),
        sh=torch.randn(count, 1, 3, generator=generator),
    )


@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(-6.0, 0.5), count=st.integers(1, 200))
def test_a_view_that_is_left_out_shows_nothing(seed: int, spread: float, count: int) -> None:
    cameras, scene = turn(12, 32, 20), scattered(count, seed, spread)
    alpha = rasterize_colours(scene, cameras)[1]
    assert not alpha[~Spheres.around(scene, 8).shown(cameras).any(1)].any()


@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(-6.0, 0.5))
def test_a_picture_of_what_is_near_it_is_that_of_the_whole(seed: int, spread: float) -> None:
    camera, scene = turn(12, 32, 20)[3], scattered(100, seed, spread)
    near = near_picture(scene, camera)
    for drawn, whole in zip(rasterize_colours(scene.select(near), camera), rasterize_colours(scene, camera), strict=True):
        assert (drawn - whole).abs().max() < 1e-5
    behind = camera.local(scene.means)[0, :, 2] < 0
    assert not near[behind].any()


def test_spheres_of_a_growing_scene_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    growing, scene = GrowingSpheres(), Gaussians.empty()
    counts, around = [], Spheres.around

    def counted(gaussians: Gaussians, size: int) -> Spheres:
        counts.append(len(gaussians))
        return around(gaussians, size)

    monkeypatch.setattr(Spheres, "around", staticmethod(counted))
    for index in range(6):
        scene = Gaussians.cat([scene, scattered(300, index)])
        kept = growing.of(scene)
        whole = around(scene, bounds.GROUP)
        assert torch.equal(kept.centers, whole.centers)
        assert torch.equal(kept.radii, whole.radii)
    assert all(count < 300 + bounds.GROUP for count in counts), "what was there before is not looked at again"
    scene.means[5] += 100.0
    assert torch.equal(growing.of(scene).centers, around(scene, bounds.GROUP).centers), "a change in place is noticed"
    shorter = scene.select(slice(0, 500))
    assert torch.equal(growing.of(shorter).radii, around(shorter, bounds.GROUP).radii)


@pytest.fixture
def chosen_always(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many Gaussians were chosen each time, in scenes of any size."""
    counts: list[int] = []
    near = GrowingSpheres.near

    def counted(self: GrowingSpheres, *args, **options) -> torch.Tensor | None:
        index = near(self, *args, **options)
        if index is not None:
            counts.append(len(index))
        return index

    monkeypatch.setattr(bounds, "LARGE", 0)
    monkeypatch.setattr(bounds, "MOST_CHOSEN", 1.0)
    monkeypatch.setattr(GrowingSpheres, "near", counted)
    return counts


def grown_memory(room_turn, room_frames) -> SpatialMemory:
    memory = SpatialMemory()
    for frame in (0, 2, 4, 20):
        rgb, depth = room_frames[0][frame], room_frames[1][frame]
        unknown = ~memory.read(room_turn[frame]).known[0] if memory.views else torch.ones(depth.shape, dtype=torch.bool)
        memory.write(rgb, depth, room_turn[frame], unknown)
        memory.refine(4)
    return memory


def test_a_memory_is_to_the_bit_what_it_is_without_choosing(
    room_turn, room_frames, chosen_always: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes, fits, and what is read, planned and filmed."""
    memory = grown_memory(room_turn, room_frames)
    views = room_turn[[1, 2, 3]]
    reading, film, coverage = memory.read(views), memory.film(views), memory.coverage(views)
    assert chosen_always
    assert min(chosen_always) < len(memory.gaussians) / 2
    monkeypatch.setattr(bounds, "LARGE", 2**40)
    whole = grown_memory(room_turn, room_frames)
    assert torch.equal(memory.gaussians.means, whole.gaussians.means)
    assert torch.equal(memory.gaussians.sh, whole.gaussians.sh)
    again = whole.read(views)
    for name in ("rgb", "depth", "alpha", "known", "trust"):
        assert torch.equal(getattr(reading, name), getattr(again, name)), name
    for own, other in zip((*film, *coverage), (*whole.film(views), *whole.coverage(views)), strict=True):
        assert torch.equal(own, other)
