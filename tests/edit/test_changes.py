"""Moves, copies, colours, crops and mergers of scenes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import splatmem as sm
import torch
from plyfile import PlyData, PlyElement
from splatmem.edit.changes import merged, with_added, with_colours
from splatmem.edit.selection import HalfSpace, Region, Thing
from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import rasterize
from splatmem.gaussians.transform import from_linear, recoloured, to_linear, transformed
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.similarity import Similarity
from splatmem.io.ply import save_ply
from splatmem.memory.content_hash import content_hash
from splatmem.metrics import psnr
from thing_before_wall import BLOCK, BLOCK_DEPTH, MIDDLE, camera, memory

SIMILARITY = Similarity.about(torch.tensor([0.1, 0.2, 1.5]), (0.3, -0.1, 0.4), 40.0, torch.tensor([0.1, 1.0, 0.2]), 1.7)


def with_bands(gaussians: Gaussians) -> Gaussians:
    sh = torch.cat([gaussians.sh, 0.1 * torch.randn(len(gaussians), 15, 3, generator=torch.Generator().manual_seed(0))], dim=1)
    return Gaussians(gaussians.means, gaussians.quats, gaussians.log_scales, gaussians.opacity_logits, sh)


def seen_after(similarity: Similarity, cameras: Cameras) -> Cameras:
    """The cameras moved along with the world."""
    poses = cameras.cam_to_world.clone()
    poses[:, :3, :3] = similarity.rotation @ poses[:, :3, :3]
    poses[:, :3, 3] = similarity(poses[:, :3, 3])
    return Cameras(torch.linalg.inv(poses), cameras.intrinsics, cameras.width, cameras.height)


def test_a_world_and_its_camera_moved_together_look_the_same() -> None:
    gaussians = with_bands(memory().gaussians)
    aslant = camera().turned(14.0, 5.0)  # straight ahead, all of the wall is equally far, and its order in depth is arbitrary
    before = rasterize(gaussians, aslant)
    after = rasterize(transformed(gaussians, SIMILARITY), seen_after(SIMILARITY, aslant))
    assert psnr(after.rgb[0].clamp(0, 1), before.rgb[0].clamp(0, 1)) > 50
    assert torch.allclose(after.depth, SIMILARITY.scale * before.depth, rtol=2e-3, atol=1e-3)


def test_colours_in_linear_light() -> None:
    light = torch.linspace(0, 1, 20)
    assert torch.allclose(to_linear(from_linear(light)), light, atol=1e-5)
    gaussians = memory().gaussians
    brighter = recoloured(gaussians, exposure=-1.0)
    assert torch.allclose(to_linear(brighter.rgb), 0.5 * to_linear(gaussians.rgb.clamp(0, 1)), atol=1e-5)
    grey = recoloured(gaussians, saturation=0.0).rgb
    assert torch.allclose(grey, grey[:, :1].expand(-1, 3), atol=1e-5)
    with pytest.raises(ValueError, match="exposure lies in"):
        recoloured(gaussians, exposure=99)


def test_colours_change_where_they_should_and_nowhere_else() -> None:
    before = memory()
    chosen = Thing(camera(), MIDDLE).mask(before)
    after = with_colours(before, chosen, 0.0, 1.0, (0.1, 1.0, 8.0))
    assert torch.equal(after.gaussians.sh[~chosen], before.gaussians.sh[~chosen])
    x, y = (int(v) for v in MIDDLE)
    assert after.first_photo[y, x, 2] > 0.25 > before.first_photo[y, x, 2], "the stored picture shows it, too"


def test_what_was_put_in_shows_in_the_stored_views() -> None:
    before = memory(with_block=False)
    block = memory().gaussians
    block = block.select((block.means[:, 2] - BLOCK_DEPTH).abs() < 0.01)
    after = with_added(before, block)
    x, y = (int(v) for v in MIDDLE)
    assert after.first_photo[y, x, 0] > 0.7
    assert after.views[0].depth[y, x] == pytest.approx(BLOCK_DEPTH, rel=0.01)
    assert torch.equal(after.views[0].rgb[:, : BLOCK[0] - 8], before.views[0].rgb[:, : BLOCK[0] - 8])


def test_a_merged_scene_is_seen_from_its_own_camera_as_it_was() -> None:
    first, second = memory(with_block=False), memory()
    far = Similarity.about(torch.zeros(3), (50.0, 0.0, 0.0), 90.0, None, 2.0)
    both = merged(first, second, far)
    assert len(both.gaussians) == len(first.gaussians) + len(second.gaussians)
    own = both.views[1].camera
    assert psnr(both.read(own).rgb[0], second.read(camera()).rgb[0]) > 40
    assert torch.allclose(both.views[1].depth, 2 * second.views[0].depth)
    assert torch.equal(own.centers[0], torch.tensor([50.0, 0.0, 0.0]))
    assert both.views[1].gaussians == (len(first.gaussians), len(both.gaussians))


@pytest.fixture
def scene() -> sm.Scene:
    from splatmem.config import load_preset
    from splatmem.explore.models import Models

    made = sm.Scene(memory(), Models(load_preset("embedded")))
    made._record("begin")
    return made


def fingerprint(scene: sm.Scene) -> tuple[int, int, int]:
    memory = scene.memory
    return content_hash(memory.gaussians, 0, len(memory.gaussians)), len(memory.views), int(memory.views[0].rgb.sum())


def test_every_change_is_a_step_that_is_undone_exactly(scene: sm.Scene, tmp_path: Path) -> None:
    block = scene.select(at=MIDDLE, save_as="block")
    states = [fingerprint(scene)]
    scene.transform(block, (-0.5, 0, 0), turn_degrees=30)
    states.append(fingerprint(scene))
    scene.undo()
    scene.transform(scene.select(named="block"), (0.6, 0, 0), copy=True)
    scene.recolour(HalfSpace((0, 1, 0), 0.4), exposure=0.5)
    scene.remove(block)
    scene.crop(~Region(camera(), [(0, 0), (20, 72)]))
    scene.merge(scene_of_wall(), (4.0, 0, 0))
    assert [step.operation for step in scene.history] == ["begin", "duplicate", "recolour", "remove", "crop", "merge"]
    assert len(scene.makers) == len(scene.memory.gaussians)
    assert scene.makers.step.max() == 5
    states.append(fingerprint(scene))
    scene.save(tmp_path / "room")
    opened = sm.Scene.open(tmp_path / "room")
    assert list(opened.selections) == ["block"]
    opened.undo(5)
    assert fingerprint(opened) == states[0]
    opened.redo(5)
    assert fingerprint(opened) == states[2]
    opened.save()
    assert fingerprint(sm.Scene.open(tmp_path / "room")) == states[2]


def test_a_matrix_places_a_merged_scene_as_shift_turn_and_scale_do(scene: sm.Scene) -> None:
    similarity = Similarity.about(torch.zeros(3), (4.0, 0.0, 1.0), 30.0, scene.memory.down, 0.5)
    scene.merge(scene_of_wall(), (4.0, 0.0, 1.0), 30.0, 0.5)
    placed = scene.memory.gaussians.means
    scene.undo()
    scene.merge(scene_of_wall(), transform=similarity.to_json()[:3])
    torch.testing.assert_close(scene.memory.gaussians.means, placed, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="a rotation without scale, shear or mirroring"):
        scene.merge(scene_of_wall(), transform=[[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 1, 0]])


def scene_of_wall() -> sm.Scene:
    from splatmem.config import load_preset
    from splatmem.explore.models import Models

    made = sm.Scene(memory(with_block=False), Models(load_preset("embedded")))
    made._record("begin")
    return made


def test_beyond_the_budget_nothing_is_kept(scene: sm.Scene, tmp_path: Path) -> None:
    scene.timeline.budget = 0
    scene.recolour(scene.select(at=MIDDLE), exposure=0.5)
    scene.save(tmp_path / "room")
    with pytest.raises(ValueError, match="more than the budget of 0 bytes"):
        sm.Scene.open(tmp_path / "room").undo()
    assert not list((tmp_path / "room" / "memory").glob("state-*"))


def test_interrupted_at_any_moment_a_change_is_there_or_is_not(
    scene: sm.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.save(tmp_path / "room")
    before = fingerprint(scene)
    replaced, seen = os.replace, set()
    for moment in range(20):
        opened = sm.Scene.open(tmp_path / "room")
        state = fingerprint(opened)
        operation = len(opened.history)
        opened.recolour(opened.select(at=MIDDLE), exposure=0.25)
        after = fingerprint(opened)
        left = iter(range(moment))

        def interrupted(source, target, left=left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            replaced(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", interrupted)
            try:
                opened.save()
                done = True
            except KeyboardInterrupt:
                done = False
        again = sm.Scene.open(tmp_path / "room")
        assert fingerprint(again) in (state, after)
        seen.add(fingerprint(again) == after)
        if fingerprint(again) == after:
            assert len(again.history) == operation + 1
            again.undo()
            assert fingerprint(again) == state
        if done:
            break
    assert seen == {True, False}, "both were met"
    assert before


def test_a_scene_from_elsewhere_is_known_where_it_is_opaque(tmp_path: Path) -> None:
    made = memory()
    turned = transformed(made.gaussians, SIMILARITY)
    flipped = turned.quats @ torch.tensor([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]])  # backs to the front
    save_ply(Gaussians(turned.means, flipped, turned.log_scales, turned.opacity_logits, turned.sh), tmp_path / "x.ply", True)
    from splatmem.io.transforms_json import save_transforms_json

    aslant = camera().turned(10.0, 5.0)
    cameras = seen_after(SIMILARITY, Cameras.cat([aslant, camera().moved(right=0.1)]))
    save_transforms_json(cameras, tmp_path / "transforms.json")
    scene = sm.Scene.from_splats(tmp_path / "x.ply", (128, 72), poses=tmp_path / "transforms.json")
    reading = scene.render(scene.memory.views[0].camera)
    seen = made.read(aslant)
    assert (reading.known == seen.known).float().mean() > 0.98
    assert psnr(reading.rgb[0], seen.rgb[0]) > 35
    assert scene.memory.num_given_views == 2
    assert not scene.render(scene.memory.views[0].camera.turned(180.0)).known.any()
    pixel = aslant.project(camera().unproject(torch.full((1, 72, 128), BLOCK_DEPTH))[0, int(MIDDLE[1]), int(MIDDLE[0])])[0][0]
    gone = scene.remove(scene.select(at=pixel.tolist()))
    assert gone > 100
    alone = sm.Scene.from_splats(tmp_path / "x.ply", (128, 72))
    assert any("does not say from where it was seen" in note for note in alone.notes)
    assert alone.memory.views[0].written.float().mean() > 0.3


def test_a_file_that_says_from_where_it_was_seen(tmp_path: Path) -> None:
    """As SHARP writes it, with the camera of the photo in elements of its own."""
    made = memory()
    save_ply(made.gaussians, tmp_path / "x.ply", True)
    own = camera()
    vertices = PlyData.read(str(tmp_path / "x.ply"))["vertex"]

    def element(name: str, kind: str, values: object) -> PlyElement:
        table = np.asarray(values).ravel().astype([(name, kind)])
        return PlyElement.describe(table, name)

    told = [
        element("extrinsic", "f4", own.world_to_cam[0].numpy()), element("intrinsic", "f4", own.intrinsics[0].numpy()),
        element("image_size", "u4", [own.width, own.height]), element("version", "u1", [1, 5, 0]),
    ]  # fmt: skip
    PlyData([vertices, *told]).write(str(tmp_path / "sharp.ply"))
    scene = sm.Scene.from_splats(tmp_path / "sharp.ply", (128, 72))
    first = scene.memory.views[0].camera
    torch.testing.assert_close(first.intrinsics, own.cropped(128, 72).intrinsics)
    assert not any("does not say from where" in note for note in scene.notes)
    assert psnr(scene.render(first).rgb[0], made.read(own.cropped(128, 72)).rgb[0]) > 35
    for wrong in ([*told[1:], element("extrinsic", "f4", np.zeros(16))], told[1:]):
        PlyData([vertices, *wrong]).write(str(tmp_path / "wrong.ply"))
        assert any("does not say from where" in n for n in sm.Scene.from_splats(tmp_path / "wrong.ply", (128, 72)).notes)
