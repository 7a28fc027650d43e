"""A memory with fewer Gaussians shows what it showed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from splatmem.gaussians import Gaussians
from splatmem.gaussians.fit_shapes import Reference, fit_shapes
from splatmem.gaussians.lift import lift
from splatmem.gaussians.merge import merge_alike
from splatmem.gaussians.quantised import QuantisedGaussians
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.memory import SpatialMemory
from splatmem.memory.compaction import PHOTO_LOSS, Compacted, compacted
from splatmem.memory.session import SessionStore, load_session
from splatmem.metrics import psnr

from textured_room import room, turn


@pytest.fixture(scope="module")
def seen() -> SpatialMemory:
    """Two views of a room; the second one shows a part that the first does not."""
    cameras = turn(8, 96, 64)[slice(0, 2)]
    pictures = room().render(cameras)
    memory = SpatialMemory()
    memory.write(pictures.rgb[0], pictures.depth[0], cameras[0], torch.ones(64, 96, dtype=torch.bool))
    memory.refine(6)
    memory.write(pictures.rgb[1], pictures.depth[1], cameras[1], ~memory.read(cameras[1]).known[0])
    memory.refine(6)
    return memory


@pytest.fixture(scope="module")
def small(seen: SpatialMemory) -> Compacted:
    return compacted(seen, steps=15)


def test_fewer_gaussians_show_the_same(seen: SpatialMemory, small: Compacted) -> None:
    assert len(small.memory.gaussians) < 0.82 * len(seen.gaussians)
    between = turn(16, 96, 64)[slice(0, 3)]
    (before, known), (after, still_known) = seen.film(between), small.memory.film(between)
    assert psnr(after, before, known) > 30
    assert (still_known | ~known).float().mean() > 0.999


def test_surfaces_stay_covered_from_near(seen: SpatialMemory, small: Compacted) -> None:
    near = seen.views[0].camera.resized(4 * 96, 4 * 64)
    before, after = ((memory.coverage(near)[1] > 0.95).float().mean() for memory in (seen, small.memory))
    assert after > before - 0.01


def test_views_keep_their_own_gaussians(seen: SpatialMemory, small: Compacted) -> None:
    ranges = [view.gaussians for view in small.memory.views]
    assert ranges[0][0] == 0
    assert ranges[0][1] <= ranges[1][0] < ranges[1][1] == len(small.memory.gaussians)
    first = seen.views[1].gaussians[0]
    assert small.count_before(first) == ranges[1][0]
    assert (small.first.diff() > 0).all()


def test_a_small_memory_is_a_fraction_of_the_bytes(seen: SpatialMemory, small: Compacted) -> None:
    assert isinstance(small.memory.gaussians, QuantisedGaussians)
    assert small.memory.gaussians.nbytes == 18 * len(small.memory.gaussians)
    assert small.memory.nbytes < 0.35 * seen.nbytes


def test_a_saved_small_memory_is_the_same_and_stays_small(small: Compacted, tmp_path: Path) -> None:
    SessionStore(tmp_path / "memory").save(small.memory, packing=True)
    back, _ = load_session(tmp_path / "memory")
    assert isinstance(back.gaussians, QuantisedGaussians)
    assert back.nbytes == small.memory.nbytes
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        assert torch.equal(getattr(back.gaussians, name), getattr(small.memory.gaussians, name)), name


def test_a_small_memory_is_written_to_and_saved_as_any_other(small: Compacted, tmp_path: Path) -> None:
    memory, store = replace(small.memory), SessionStore(tmp_path / "memory")
    store.save(memory, packing=True)
    camera = turn(8, 96, 64)[3]
    frame = room().render(camera)
    before = memory.film(memory.views[0].camera)[0]
    memory.write(frame.rgb[0], frame.depth[0], camera, ~memory.read(camera).known[0], refine_steps=2)
    assert type(memory.gaussians) is Gaussians
    count = len(small.memory.gaussians)
    assert len(memory.gaussians) > count
    assert torch.equal(memory.gaussians.means[:count], small.memory.gaussians.means)
    assert psnr(memory.film(memory.views[0].camera)[0], before) > 45
    store.save(memory, packing=True)
    assert len(list((tmp_path / "memory").glob("part-*"))) == 2, "only what is new was written"
    back, _ = load_session(tmp_path / "memory")
    assert type(back.gaussians) is Gaussians
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        assert torch.equal(getattr(back.gaussians, name), getattr(memory.gaussians, name)), name


def test_textures_keep_more_than_even_surfaces() -> None:
    camera, count = identity_camera(60.0, 96, 64), []
    depth, everywhere = torch.full((64, 96), 2.0), torch.ones(64, 96, dtype=torch.bool)
    noise = torch.rand(64, 96, 3, generator=torch.Generator().manual_seed(0))
    for contrast in (0.0, 0.02, 0.5):
        rgb = 0.3 + contrast * noise
        merged = merge_alike(lift(rgb, depth, camera, everywhere), camera, 0.6)
        count.append(len(merged.gaussians))
    assert count[0] < 100
    assert count[0] < count[1] < count[2]
    assert count[2] > 0.5 * 96 * 64


def test_nothing_is_merged_across_a_step_in_depth() -> None:
    camera = identity_camera(60.0, 96, 64)
    depth = torch.full((64, 96), 2.0)
    depth[:, 48:] = 3.0
    lifted = lift(torch.full((64, 96, 3), 0.4), depth, camera, torch.ones(64, 96, dtype=torch.bool))
    places = merge_alike(lifted, camera, 0.6).gaussians.means[:, 2]
    assert ((places - 2).abs().minimum((places - 3).abs()) < 0.01).all()


def test_a_photo_that_merging_would_spoil_keeps_its_own_gaussians(monkeypatch: pytest.MonkeyPatch) -> None:
    camera, everywhere = identity_camera(60.0, 96, 64), torch.ones(64, 96, dtype=torch.bool)
    rgb = torch.full((64, 96, 3), 0.4)
    rgb[:, 48:] = 0.2 + 0.6 * torch.rand(64, 48, 3, generator=torch.Generator().manual_seed(2))
    memory = SpatialMemory()
    memory.write(rgb, torch.full((64, 96), 2.0), camera, everywhere)
    memory.refine(6)
    before = memory.photo_fidelity().psnr
    kept = compacted(memory, steps=10).memory
    monkeypatch.setattr("splatmem.memory.compaction.PHOTO_BAR", 0.0)
    merged = compacted(memory, steps=10).memory
    bar = min(40.0, before - PHOTO_LOSS)
    assert merged.photo_fidelity().psnr < bar - 1
    assert kept.photo_fidelity().psnr > bar - 0.1
    assert len(merged.gaussians) < len(kept.gaussians) < len(memory.gaussians)


def test_stored_views_are_packed(seen: SpatialMemory, small: Compacted) -> None:
    for before, after in zip(seen.views, small.memory.views, strict=True):
        assert torch.equal(after.rgb, before.rgb)
        assert torch.equal(after.written, before.written)
        assert torch.allclose(after.depth, before.depth, rtol=3e-4)
        assert after.pictures.nbytes < 0.5 * before.pictures.nbytes
    pictures = sum(view.pictures.nbytes for view in small.memory.views)
    assert small.memory.nbytes == small.memory.gaussians.nbytes + pictures


def test_what_is_not_free_stays_as_it_is() -> None:
    camera = identity_camera(60.0, 48, 32)
    rgb = torch.rand(32, 48, 3, generator=torch.Generator().manual_seed(1))
    lifted = lift(rgb, torch.full((32, 48), 2.0), camera, torch.ones(32, 48, dtype=torch.bool))
    free = torch.arange(len(lifted)) % 2 == 0
    fitted = fit_shapes(lifted, free, [Reference(camera, rgb.flip(1), torch.ones(32, 48, dtype=torch.bool))], [], 2)
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        assert torch.equal(getattr(fitted, name)[~free], getattr(lifted, name)[~free]), name
    assert not torch.equal(fitted.sh[free], lifted.sh[free])
    assert torch.allclose(fitted.means[:, 2], lifted.means[:, 2], atol=1e-5)  # they moved on their own plane alone


def test_colours_that_change_with_the_view_are_refused(seen: SpatialMemory) -> None:
    with pytest.raises(ValueError, match="cannot be compacted"):
        many = replace(seen.gaussians, sh=torch.nn.functional.pad(seen.gaussians.sh, (0, 0, 0, 3)))
        compacted(replace(seen, gaussians=many))
    with pytest.raises(ValueError, match="no view yet"):
        compacted(SpatialMemory())


def test_gaussians_that_no_view_shows_from_the_front_stay() -> None:
    camera = identity_camera(60.0, 48, 32)
    everywhere = torch.ones(32, 48, dtype=torch.bool)
    lifted = lift(torch.full((32, 48, 3), 0.5), torch.full((32, 48), 2.0), camera, everywhere)
    behind = Cameras(torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))[None], camera.intrinsics, 48, 32)
    merged = merge_alike(lifted, behind, 0.6)
    assert not merged.made.any()
    assert torch.equal(merged.gaussians.means, lifted.means)
