"""What a photo's things hide: a wall and a floor go on behind a box, and the photo stays as it was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.depth import DepthPrediction
from splatmem.explore.beginnings import begin_memory
from splatmem.explore.behind_things import hidden_background
from splatmem.explore.loop import ExploreSettings
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory
from splatmem.memory.session import load_session, save_session
from splatmem.metrics import psnr
from splatmem.timing import StageClock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from solid_scenes import ROOM, SCENES, Solid, SolidScene, labels_as_logits

BOX = SCENES[0]
DOWN = torch.tensor([0.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def photo() -> Cameras:
    return Cameras.from_fov(torch.eye(4)[None], 65.0, 96, 54)


@pytest.fixture(scope="module")
def memory(photo: Cameras) -> SpatialMemory:
    rgb, depth, classes = BOX.view(photo)
    logits = labels_as_logits(classes.labels, 4)[None]
    prediction = DepthPrediction(depth[None], True, class_logits=logits, indoors_logits=torch.tensor([2.0]))
    return begin_memory(rgb, photo, lambda images, *, fov_x_degrees=None: prediction, ExploreSettings(), StageClock())


def test_wall_and_floor_go_on_behind_a_box(photo: Cameras) -> None:
    rgb, depth, classes = BOX.view(photo)
    hidden = hidden_background(rgb, depth, classes, photo, DOWN)
    empty = type(BOX)("empty", (), BOX.walls)
    true_rgb, true_depth, _ = empty.view(hidden.camera)
    behind = hidden.where
    assert behind.float().mean() > 0.03
    assert ((hidden.depth / true_depth - 1).abs()[behind] < 0.05).float().mean() > 0.9
    assert (hidden.rgb - true_rgb).abs().mean(-1)[behind].mean() < 0.12, "the box is red: none of it may be left"


def test_nothing_hidden_reaches_over_the_edge_of_the_picture(photo: Cameras) -> None:
    depth = torch.full((photo.height, photo.width), 5.0)
    labels = torch.full(depth.shape, int(PixelClass.WALL), dtype=torch.uint8)
    depth[:, 70:], labels[:, 70:] = 2.0, int(PixelClass.THING)
    rgb = torch.where((depth == 2.0)[..., None], torch.tensor([0.8, 0.1, 0.1]), torch.tensor(0.5))
    hidden = hidden_background(rgb, depth, PixelClasses(labels, (depth == 2.0).to(torch.int16)), photo, DOWN)
    assert hidden.where[1:-1, 36:-1].any()
    assert not hidden.where[:, -1].any()
    assert not hidden.where[[0, -1]].any()


def test_the_floor_goes_on_behind_a_ball_as_floor() -> None:
    ball = next(scene for scene in SCENES if "ball" in scene.name)
    camera = Cameras.from_fov(torch.eye(4)[None], 65.0, 192, 108)
    rgb, depth, classes = ball.view(camera)
    hidden = hidden_background(rgb, depth, classes, camera, DOWN)
    true_rgb, true_depth, _ = type(ball)("empty", (), ball.walls).view(hidden.camera)
    assert psnr(hidden.rgb, true_rgb, hidden.where & torch.isfinite(true_depth)) > 18
    assert psnr(hidden.rgb, true_rgb, hidden.where & torch.isinf(true_depth)) > 18


def test_a_table_goes_on_behind_what_stands_on_it() -> None:
    table = Solid("box", (0.0, 0.7, 3.0), (1.0, 0.05, 0.5), (0.4, 0.3, 0.2))
    vase = Solid("cylinder", (0.2, 0.4, 2.9), (0.15, 0.25), (0.2, 0.3, 0.7))
    camera = Cameras.from_fov(torch.eye(4)[None], 65.0, 320, 180)
    rgb, depth, classes = SolidScene("", (table, vase), ROOM).view(camera)
    # One thing, as a network's classes tell it, and not two.
    together = PixelClasses(classes.labels, classes.things.clamp_max(1))
    hidden = hidden_background(rgb, depth, together, camera, DOWN)
    true_rgb, true_depth, alone = SolidScene("", (table,), ROOM).view(hidden.camera)
    vase_pixels = classes.at(hidden.camera.width, hidden.camera.height).things == 2
    on_table = vase_pixels & (alone.things == 1) & hidden.where
    assert on_table.sum() > 60
    assert ((hidden.depth / true_depth - 1).abs()[on_table] < 0.03).float().mean() > 0.9
    assert (hidden.rgb - true_rgb).abs().mean(-1)[on_table].mean() < 0.1, "the vase is blue: none of it may be left"
    assert ((hidden.depth / true_depth - 1).abs()[vase_pixels & hidden.where] < 0.05).float().mean() > 0.85


def test_what_is_made_behind_does_not_show_in_the_photo(memory: SpatialMemory) -> None:
    alone = memory.as_given()
    assert len(memory.gaussians) > len(alone.gaussians)
    assert memory.photo_fidelity().psnr > alone.photo_fidelity().psnr - 0.3


def test_a_step_aside_uncovers_something(memory: SpatialMemory, photo: Cameras) -> None:
    pose = torch.eye(4)[None]
    pose[0, 0, 3] = 0.6
    aside = Cameras.from_fov(pose, 65.0, 96, 54)
    _, depth, _ = BOX.view(aside)
    pixels, _ = photo.project(aside.unproject(depth[None])[0].reshape(-1, 3))
    inside = ((pixels[0] > 2) & (pixels[0] < torch.tensor([94.0, 52.0]))).all(-1).view(depth.shape)
    before, now = memory.as_given().read(aside), memory.read(aside)
    assert (~before.known[0] & inside).sum() > 4 * (~now.known[0] & inside).sum()
    assert ((now.depth[0] / depth - 1).abs()[inside & now.known[0]] < 0.1).float().mean() > 0.9


def test_classes_and_what_lies_behind_are_kept_in_a_session(memory: SpatialMemory, tmp_path) -> None:
    save_session(memory, tmp_path / "memory")
    again, _ = load_session(tmp_path / "memory")
    assert len(again.gaussians) == len(memory.gaussians)
    assert again.views[0].classes is not None
    assert memory.views[0].classes is not None
    assert torch.equal(again.views[0].classes.labels, memory.views[0].classes.labels)
    assert torch.equal(again.views[0].classes.things, memory.views[0].classes.things)
    assert again.views[0].classes.indoors is memory.views[0].classes.indoors is True


@pytest.mark.parametrize(("distance", "goes_on"), [(2.6, True), (5.0, False)], ids=["near", "far"])
def test_what_is_far_behind_a_thing_that_is_cut_off_ends_before_the_side(
    photo: Cameras, distance: float, goes_on: bool
) -> None:
    """Beside the picture the thing goes on: a step aside would show a slit of what is far behind between the two."""
    depth = torch.full((photo.height, photo.width), distance)
    thing = torch.zeros_like(depth, dtype=torch.bool)
    thing[:, 76:] = True
    depth[thing] = 2.0
    labels = torch.where(thing, int(PixelClass.THING), int(PixelClass.WALL)).to(torch.uint8)
    rgb = torch.where(thing[..., None], torch.tensor([0.8, 0.1, 0.1]), torch.tensor(0.5))
    where = hidden_background(rgb, depth, PixelClasses(labels, thing.short()), photo, DOWN).where
    assert where[10:17, 39:44].all()
    assert where[10:17, -2].all() == goes_on


def test_a_gap_within_a_house_shows_the_house_and_not_the_sky() -> None:
    camera = Cameras.from_fov(torch.eye(4)[None], 65.0, 192, 108)
    depth, labels = torch.full((108, 192), torch.inf), torch.full((108, 192), int(PixelClass.SKY), dtype=torch.uint8)
    depth[30:, 40:150], labels[30:, 40:150] = 10.0, int(PixelClass.BUILDING)
    # Its left half comes forward, and runs into the other below: one surface.
    rows = torch.linspace(7.0, 10.0, 60)[:, None]
    depth[30:90, 40:90] = rows
    rgb = torch.where(torch.isfinite(depth)[..., None], torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.5, 0.7, 0.9]))
    hidden = hidden_background(rgb, depth, PixelClasses(labels, torch.zeros_like(labels).short()), camera, DOWN)
    beside_step = hidden.depth[18:26, 42:44], hidden.where[18:26, 42:44]
    assert beside_step[1].all()
    assert torch.allclose(beside_step[0], torch.tensor(10.0), rtol=0.02)
    assert torch.isinf(hidden.depth[:14]).all(), "nothing rises above the roof"
