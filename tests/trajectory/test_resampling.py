"""Runs of smoothly moving cameras for video models: how they are spaced, and where a window of them lies."""

import math
from itertools import pairwise

import pytest
import torch
from splatmem.explore.planner import LEAD_IN, PlanSettings, plan_run
from splatmem.geometry.cameras import Cameras
from splatmem.trajectory.resampling import SMOOTH_STEP, picture_step, resampled_smoothly
from splatmem.trajectory.trajectory import Trajectory

from textured_room import turn


def sideways(frames: int, length: float) -> Cameras:
    poses = torch.eye(4).repeat(frames, 1, 1)
    poses[:, 0, 3] = torch.linspace(0, length, frames)
    return Cameras.from_fov(poses, 60.0, 128, 72)


@pytest.mark.parametrize(
    ("path", "step"), [(turn(360, fov=60), 1 / 60), (sideways(11, 1.0), 0.1 * 0.5 / math.tan(math.pi / 6) / 2)]
)
def test_steps_are_measured_in_picture_widths(path, step):
    """A degree of a turn moves a picture of 60 degrees by about a sixtieth; a sideways step by its angle at the depth given."""
    assert picture_step(path, depth=2.0) == pytest.approx(step, rel=0.15)


@pytest.mark.parametrize("frames", [8, 24, 97, 400])
def test_a_resampled_trajectory_moves_smoothly_whatever_the_films_frame_rate(frames):
    smooth = resampled_smoothly(Trajectory(turn(frames)), depth=2.0)
    assert 0.4 * SMOOTH_STEP < picture_step(smooth.cameras, depth=2.0) <= 1.02 * SMOOTH_STEP
    assert smooth.moments[0] == 0
    assert all(b > a for a, b in pairwise(smooth.moments))
    assert smooth.moments[-1] <= frames - 1


def test_a_dense_trajectory_passes_through_the_films_own_cameras():
    path = turn(8)
    smooth = resampled_smoothly(Trajectory(path), depth=2.0)
    own = [index for index, moment in enumerate(smooth.moments) if float(moment).is_integer()]
    assert [smooth.moments[index] for index in own] == list(range(8))
    torch.testing.assert_close(smooth.cameras[own].world_to_cam, path.world_to_cam, atol=1e-5, rtol=0)


def test_a_still_trajectory_has_few_steps():
    assert len(resampled_smoothly(Trajectory(sideways(40, 0.0)), depth=2.0)) <= 5


def shares(values: list[float]) -> torch.Tensor:
    """Views with these shares of unknown cells."""
    unknown = torch.zeros(len(values), 10, 10, dtype=torch.bool)
    for index, value in enumerate(values):
        unknown[index].view(-1)[: round(100 * value)] = True
    return unknown


def run(values: list[float], window_frames: int = 81, made: list[int] | None = None) -> list[int]:
    marked = torch.zeros(len(values), dtype=torch.bool)
    marked[made or []] = True
    return plan_run(shares(values), turn(len(values)).resized(32, 18), window_frames, PlanSettings(), marked)


def test_a_run_leads_from_the_known_as_far_as_there_is_something_to_hold_on_to():
    values = [0.0] * 6 + [0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0]
    assert run(values) == list(range(6 - LEAD_IN, 10))


def test_a_gap_between_known_ends_is_closed_at_once():
    values = [0.0] * 8 + [0.2, 0.5, 0.6, 0.5, 0.2] + [0.0] * 8
    assert run(values) == list(range(8 - LEAD_IN, 13 + LEAD_IN))


def test_a_run_that_is_too_long_keeps_its_known_end():
    values = [0.0] * 6 + [0.05 * i for i in range(1, 12)]
    assert run(values, window_frames=17) == list(range(6 - LEAD_IN, 17))
    assert run(values, window_frames=9) == list(range(6 - 2, 13)), "a quarter of a short one leads"


def test_a_run_leads_from_what_was_made_though_a_little_of_it_is_unknown_still():
    values = [0.03] * 8 + [0.1, 0.2, 0.4]
    assert run(values, made=list(range(8))) == list(range(8 - LEAD_IN, 11))


def test_without_anything_to_hold_on_to_the_best_known_view_comes_first():
    assert run([1.0, 0.9, 0.8, 1.0]) == [2]


def test_nothing_is_made_where_all_is_seen_or_was_tried():
    assert run([0.0, 0.001, 0.0]) == []
    assert run([0.0, 0.03, 0.0], made=[1]) == []
    assert run([0.0, 0.3, 0.0], made=[1]) == [0, 1, 2]
