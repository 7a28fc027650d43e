import json

import numpy as np
import pytest
import torch
from PIL import Image
from splatmem.evaluation.scenes import load_scene

from scene_folders import closed_turn, write_scene
from textured_room import room


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scenes") / "box", closed_turn(5, 96, 54, sway=0.3))


@pytest.fixture
def own(tmp_path):
    """A scene that a test may damage."""
    return write_scene(tmp_path / "own", closed_turn(3, 64, 36))


def edit(folder, change):
    content = json.loads((folder / "transforms.json").read_text())
    change(content)
    (folder / "transforms.json").write_text(json.dumps(content))


def test_a_scene_is_read_as_it_was_written(folder):
    scene = load_scene(folder)
    cameras = closed_turn(5, 96, 54, sway=0.3)
    seen = room().render(cameras)
    assert scene.name == "box"
    torch.testing.assert_close(scene.path.world_to_cam, cameras.world_to_cam, atol=1e-5, rtol=0)
    torch.testing.assert_close(scene.path.intrinsics, cameras.intrinsics, atol=1e-4, rtol=0)
    assert (scene.truth.rgb - seen.rgb).abs().max() <= 0.5 / 255 + 1e-6
    assert (scene.truth.depth - seen.depth).abs().max() <= 0.5e-3 + 1e-5
    assert scene.truth.measured.all()
    assert torch.equal(scene.photo, scene.truth.rgb[0])


def test_the_first_camera_is_the_identity_wherever_the_world_is(folder, tmp_path):
    cameras = closed_turn(3, 64, 36, sway=0.3)
    away = torch.tensor([[0.0, -1, 0, 4], [1, 0, 0, -2], [0, 0, 1, 7], [0, 0, 0, 1]])
    moved = write_scene(tmp_path / "moved", cameras)
    edit(
        moved, lambda c: [f.update(transform_matrix=(away @ torch.tensor(f["transform_matrix"])).tolist()) for f in c["frames"]]
    )
    torch.testing.assert_close(load_scene(moved).path.world_to_cam, cameras.world_to_cam, atol=1e-4, rtol=0)


def test_frames_are_spread_from_first_to_last(folder):
    assert torch.equal(load_scene(folder, frames=3).truth.rgb, load_scene(folder).truth.rgb[[0, 2, 4]])


def test_a_smaller_film_is_compared_at_its_size(folder):
    scene = load_scene(folder, size=(48, 54))
    assert scene.truth.rgb.shape[1:3] == (54, 48)
    assert (scene.path.width, scene.path.height) == (48, 54)
    # The middle was cut out: the same focal length, half the field.
    torch.testing.assert_close(scene.path.focal, load_scene(folder).path.focal)
    whole = load_scene(folder).truth
    torch.testing.assert_close(scene.truth.depth, whole.depth[:, :, 24:72])


def test_a_larger_film_is_compared_at_the_size_of_the_pictures(folder):
    scene = load_scene(folder, size=(192, 108))
    assert scene.photo.shape == (108, 192, 3)
    assert scene.photo_depth.shape == (108, 192)
    assert scene.truth.rgb.shape[1:3] == (scene.truth.cameras.height, scene.truth.cameras.width) == (54, 96)
    torch.testing.assert_close(scene.truth.depth, load_scene(folder).truth.depth)


def test_depth_may_be_missing_in_pixels_frames_or_altogether(own, tmp_path):
    steps = np.array(Image.open(own / "depth_001.png"))
    steps[:10] = 0
    Image.fromarray(steps).save(own / "depth_001.png")
    edit(own, lambda c: c["frames"][2].pop("depth_file_path"))
    truth = load_scene(own).truth
    assert truth.measured[0].all()
    assert not truth.measured[1, :10].any()
    assert truth.measured[1, 10:].all()
    assert not truth.measured[2].any()
    assert torch.isinf(truth.depth[~truth.measured]).all()
    bare = write_scene(tmp_path / "bare", closed_turn(3, 64, 36), depth=False)
    assert not load_scene(bare).truth.measured.any()


def test_another_unit_of_depth_is_followed(own):
    edit(own, lambda c: c.update(depth_unit_scale_factor=0.002))
    torch.testing.assert_close(load_scene(own).truth.depth, 2 * room().render(closed_turn(3, 64, 36)).depth, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(frames=c["frames"][:1]), "at least 2"),
        (lambda c: c["frames"][1].pop("file_path"), "frame 1: expected 'file_path'"),
        (lambda c: c["frames"][1].update(file_path="gone.png"), r"frame 1: there is no picture .*gone\.png"),
        (lambda c: c["frames"][1].update(depth_file_path="gone.png"), r"frame 1: there is no depth map .*gone\.png"),
        (lambda c: c["frames"][1].update(depth_file_path="images/frame_001.png"), "16 bits"),
        (lambda c: c["frames"][1].update(transform_matrix=[[1]]), "transform_matrix"),
        (lambda c: c.update(h=64), "expected the shape"),
        (lambda c: c.update(depth_unit_scale_factor=0), "depth_unit_scale_factor"),
    ],
)
def test_what_is_wrong_with_a_scene_is_named(own, change, message):
    edit(own, change)
    with pytest.raises(ValueError, match=message):
        load_scene(own)


def test_damaged_pictures_and_folders_are_named(own, tmp_path):
    with pytest.raises(ValueError, match=r"is no scene: expected a folder with transforms\.json"):
        load_scene(tmp_path)
    with pytest.raises(ValueError, match="at least 32 pixels"):
        load_scene(own, size=(64, 16))
    Image.new("RGB", (40, 36)).save(own / "images" / "frame_001.png")
    with pytest.raises(ValueError, match=r"frame_001\.png has 40x36 pixels"):
        load_scene(own)
    (own / "images" / "frame_001.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"frame_001\.png cannot be read as a picture"):
        load_scene(own)
