"""Memories that begin with many pictures: their depths agree, in the unit of their cameras."""

from __future__ import annotations

import re

import pytest
import torch
from splatmem.depth import DepthPrediction
from splatmem.explore.beginnings import begin_memory, begin_posed_memory
from splatmem.explore.loop import ExploreSettings
from splatmem.geometry.cameras import Cameras, relative_to
from splatmem.metrics import psnr
from splatmem.timing import StageClock
from torch import Tensor

from moving_ball import aside, with_ball
from textured_room import room, turn

SETTINGS = ExploreSettings(photo_refine_steps=10)
FACTORS = torch.tensor([3.0, 0.7, 1.4, 2.0])


def arc(angles: list[float], unit: float = 1.0) -> Cameras:
    """Cameras that step aside and turn, in degrees, in a world of its own whose unit is ``1 / unit`` metres."""
    poses = torch.eye(4).repeat(len(angles), 1, 1)
    for index, angle in enumerate(torch.tensor(angles).deg2rad()):
        poses[index, 0, 0] = poses[index, 2, 2] = angle.cos()
        poses[index, 0, 2], poses[index, 2, 0] = angle.sin(), -angle.sin()
        poses[index, 0, 3] = angle.sin()
    poses[:, :3, 3] *= unit
    return Cameras.from_fov(poses, 70.0, 128, 72)


class DepthOfKnownPictures:
    """The true depth of pictures that it knows by sight, each in a unit of its own."""

    name = "known"
    estimates_fov = False

    def __init__(self, rgb: Tensor, depth: Tensor, metric: bool) -> None:
        self.rgb, self.depth, self.metric = rgb, depth, metric

    def __call__(self, images: Tensor, *, fov_x_degrees: float | None = None) -> DepthPrediction:
        index = [int((self.rgb - image).abs().flatten(1).mean(1).argmin()) for image in images]
        return DepthPrediction(self.depth[index], self.metric)


@pytest.mark.parametrize("metric", [False, True])
def test_pictures_meet_in_one_world_in_the_unit_of_their_cameras(metric: bool) -> None:
    unit = 2.5  # the cameras' world is in units of 0.4 metres
    given, between = arc([0, 12, 24, 36], 1.0), arc([6, 18, 30], unit)
    seen = room().render(given)
    factors = torch.full((4,), 3.0) if metric else FACTORS
    estimate = DepthOfKnownPictures(seen.rgb, seen.depth * factors[:, None, None], metric)
    shares: list[float] = []
    begun = begin_posed_memory(seen.rgb, arc([0, 12, 24, 36], unit), estimate, SETTINGS, StageClock(), progress=shares.append)
    memory, notes = begun.memory, begun.notes
    assert memory.num_given_views == len(memory.views) == 4
    assert not memory.metric, "nobody knows the unit of the cameras"
    assert shares == [0.5, 0.75, 1.0]
    assert notes == [notes[0]]
    said = re.fullmatch(
        r"4 pictures were given; where they show the same, their depths differed by (\d+) % \(median\)", notes[0]
    )
    assert said is not None
    assert int(said[1]) <= 1
    truth = room().render(arc([6, 18, 30]))
    reading = memory.read(relative_to(between, arc([0], unit)))
    assert reading.known.float().mean() > 0.97
    relative = (reading.depth / (unit * truth.depth) - 1).abs()[reading.known]
    assert relative.median() < 0.02
    assert relative.quantile(0.9) < 0.05
    assert psnr(reading.rgb, truth.rgb, reading.known) > 26


def test_pictures_are_written_in_the_order_of_what_is_known_of_them() -> None:
    angles = [0, 40, 14, 27]
    cameras = arc(angles)
    seen = room().render(cameras)
    estimate = DepthOfKnownPictures(seen.rgb, seen.depth, metric=True)
    memory = begin_posed_memory(seen.rgb, cameras, estimate, SETTINGS, StageClock()).memory
    centers = torch.cat([view.camera.centers for view in memory.views])
    torch.testing.assert_close(centers, cameras.centers[[0, 2, 3, 1]])


def test_without_parallax_the_models_own_unit_is_taken_and_said() -> None:
    cameras = turn(18, 128, 72)[[0, 1]]
    seen = room().render(cameras)
    estimate = DepthOfKnownPictures(seen.rgb, 2 * seen.depth, metric=True)
    begun = begin_posed_memory(seen.rgb, cameras, estimate, SETTINGS, StageClock())
    memory, notes = begun.memory, begun.notes
    assert "the depth model's own unit is taken" in notes[0]
    notes = begin_posed_memory(seen.rgb, cameras, estimate, SETTINGS, StageClock(), one_picture=True).notes
    assert not any("unit" in note for note in notes), "views of one panorama: their cameras have no unit"
    assert memory.metric
    assert memory.scale == pytest.approx(2 * seen.depth[0].median().item(), rel=1e-3)


@pytest.mark.parametrize("metric", [False, True])
def test_a_photo_s_memory_is_metric_if_its_depth_is(metric: bool) -> None:
    camera = turn(18, 128, 72)[0]
    seen = room().render(camera)
    estimate = DepthOfKnownPictures(seen.rgb, seen.depth, metric)
    assert begin_memory(seen.rgb[0], camera, estimate, SETTINGS, StageClock()).metric is metric


def test_pixels_that_may_not_be_used_are_not_written() -> None:
    """Masked out in one picture, seen in the others: what is written there is what those show."""
    cameras = arc([0, 12, 24])
    seen = room().render(cameras)
    rgb, usable = seen.rgb.clone(), torch.ones(seen.depth.shape, dtype=torch.bool)
    for index, columns in ((0, slice(40, 60)), (1, slice(0, 128))):
        usable[index, 20:50, columns] = False
        rgb[index, 20:50, columns] = torch.tensor([1.0, 0.0, 1.0])
    estimate = DepthOfKnownPictures(rgb, seen.depth, metric=True)
    memory = begin_posed_memory(rgb, cameras, estimate, SETTINGS, StageClock(), usable=usable).memory
    reading = memory.read(relative_to(cameras, cameras[0]))
    magenta = (reading.rgb - torch.tensor([1.0, 0.0, 1.0])).abs().amax(-1) < 0.3
    assert (magenta & reading.known).float().mean() < 0.002
    assert reading.known.float().mean() > 0.94, "all but what is masked out and no other picture shows"
    assert not memory.views[0].written[20:50, 40:60].any(), "of the first picture these were not written"
    assert min(memory.retention_psnr()) > 30, "what was not written counts as nothing that was known"


def test_what_moves_between_the_pictures_does_not_get_into_the_memory() -> None:
    cameras = aside(6)
    places = torch.tensor([[0.6 * (index - 2.5), 0.2, 2.2] for index in range(6)])
    rgb, depth, ball = with_ball(cameras, places)
    begun = begin_posed_memory(rgb, cameras, DepthOfKnownPictures(rgb, depth, metric=True), SETTINGS, StageClock())
    assert (begun.moving & ball).sum() >= 0.98 * ball.sum()
    assert any("shows what moved between them" in note for note in begun.notes)
    reading = begun.memory.read(relative_to(cameras, cameras[0]))
    bare = room().render(cameras)
    nearer = reading.known & (reading.depth < 0.85 * bare.depth)
    assert nearer.sum() <= 0.02 * ball.sum(), "the wall is seen where the ball was"
    assert psnr(reading.rgb, bare.rgb, reading.known) > 26
    assert reading.known.float().mean() > 0.97


def test_pictures_that_contradict_each_other_everywhere_are_said_to() -> None:
    cameras = aside(4)
    rgb = torch.rand(4, 72, 128, 3, generator=torch.Generator().manual_seed(0))
    rgb = torch.nn.functional.avg_pool2d(rgb.permute(0, 3, 1, 2), 9, 1, 4).permute(0, 2, 3, 1)
    rgb = ((rgb - 0.5) * 6 + 0.5).clamp(0, 1)
    depth = room().render(cameras).depth
    rgb[0] = room().render(cameras).rgb[0]
    rgb[1] = room().render(cameras).rgb[1]
    begun = begin_posed_memory(rgb, cameras, DepthOfKnownPictures(rgb, depth, metric=True), SETTINGS, StageClock())
    assert any("contradict each other" in note for note in begun.notes)
    assert not begun.moving.any()
