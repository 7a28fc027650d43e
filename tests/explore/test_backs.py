"""The other side of things: a post in the open is there from behind, and the photo stays as it was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from splatmem.depth import DepthPrediction
from splatmem.edit.thing import gaussians_in_outline
from splatmem.explore.backs import FLATTENED, backs_of_things
from splatmem.explore.beginnings import begin_memory
from splatmem.explore.loop import ExploreSettings
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import look_at
from splatmem.memory import SpatialMemory
from splatmem.timing import StageClock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from solid_scenes import SCENES, SolidScene, labels_as_logits

POST = next(scene for scene in SCENES if "statue" in scene.name)
DISTANCE = 4.0


@pytest.fixture(scope="module")
def photo() -> Cameras:
    return Cameras.from_fov(torch.eye(4)[None], 65.0, 128, 72)


def begun(scene: SolidScene, photo: Cameras) -> SpatialMemory:
    rgb, depth, classes = scene.view(photo)
    prediction = DepthPrediction(depth[None], True, class_logits=labels_as_logits(classes.labels, 4)[None])
    return begin_memory(rgb, photo, lambda images, *, fov_x_degrees=None: prediction, ExploreSettings(), StageClock())


@pytest.fixture(scope="module")
def memory(photo: Cameras) -> SpatialMemory:
    return begun(POST, photo)


def seen_from(photo: Cameras, degrees: float) -> Cameras:
    angle, subject = torch.tensor([degrees]).double().deg2rad(), torch.tensor([[0.0, 0.0, DISTANCE]]).double()
    outward = torch.stack([angle.sin(), torch.zeros_like(angle), -angle.cos()], dim=-1)
    return Cameras.from_fov(look_at(subject + DISTANCE * outward, subject), photo.fov_x_degrees, photo.width, photo.height)


@pytest.mark.parametrize("degrees", [135.0, 180.0, 225.0])
def test_a_post_is_there_from_behind(memory: SpatialMemory, photo: Cameras, degrees: float) -> None:
    behind = seen_from(photo, degrees)
    rgb, depth, classes = POST.view(behind)
    post = classes.things > 0
    front, whole = memory.as_given().read(behind), memory.read(behind)
    right = whole.known[0] & ((whole.depth[0] / depth - 1).abs() < 0.15)
    assert front.known[0][post].float().mean() < 0.3, "the photo alone does not know its back"
    assert right[post].float().mean() > 0.75
    assert (whole.rgb[0] - rgb)[post & right].abs().mean(-1).median() < 0.1, "its colours are those of the front"


def test_a_back_is_as_deep_as_the_outline_says(photo: Cameras) -> None:
    rgb, depth, classes = POST.view(photo)
    backs = backs_of_things(rgb, depth, classes, photo)
    assert (backs.normals * (backs.means - photo.centers[0])).sum(-1).median() > 0, "they face away from the photo's camera"
    deepest = backs.means[:, 2].quantile(0.98).item() - depth[classes.things > 0].min().item()
    assert deepest == pytest.approx(FLATTENED * 0.8, rel=0.3), "the post is .8 wide"


def test_the_photo_stays_as_it_was(memory: SpatialMemory) -> None:
    assert memory.photo_fidelity().psnr > memory.as_given().photo_fidelity().psnr - 0.5


def test_nothing_is_made_where_no_camera_goes_all_the_way_round(photo: Cameras) -> None:
    before_a_wall = SolidScene("post before a wall", POST.solids, (((0.0, 0.0, 1.0), 5.0),))
    rgb, depth, classes = before_a_wall.view(photo)
    assert len(backs_of_things(rgb, depth, classes, photo))
    memory = begun(before_a_wall, photo)
    away = (memory.gaussians.normals * (memory.gaussians.means - photo.centers[0])).sum(-1) > 0
    assert not away.any()


def test_a_selected_thing_has_its_back_with_it(memory: SpatialMemory, photo: Cameras) -> None:
    _, _, classes = POST.view(photo)
    chosen = gaussians_in_outline(memory, photo, memory.read(photo).depth[0], classes.things > 0)
    left = memory.gaussians.select(~chosen)
    away = (left.normals * (left.means - photo.centers[0])).sum(-1) > 0
    near = (left.means - torch.tensor([0.0, 0.3, DISTANCE])).norm(dim=-1) < 1.0
    assert not (away & near).any()
