import pytest
import torch
from splatmem.explore.planner import MOST_TIMES, PicturePlanner, Planner, PlanSettings, VideoPlanner, plan_window
from splatmem.extrapolate.scene import fit_scene_layout
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory
from splatmem.trajectory.trajectory import Trajectory

from textured_room import room, turn

WIDTH, HEIGHT, FRAMES = 32, 18, 24
SETTINGS = PlanSettings()


@pytest.fixture(scope="module")
def cameras() -> Cameras:
    return turn(FRAMES, WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def points(cameras: Cameras) -> torch.Tensor:
    return cameras.unproject(room().render(cameras).depth)


@pytest.fixture(scope="module")
def after_the_photo(points: torch.Tensor, cameras: Cameras) -> torch.Tensor:
    """What is unknown when only the first frame was seen."""
    return ~seen_by(points, cameras, [0])


def seen_by(points: torch.Tensor, cameras: Cameras, frames: list[int]) -> torch.Tensor:
    seen = torch.zeros(points.shape[:-1], dtype=torch.bool)
    for frame in frames:
        pixels, depth = cameras[frame].project(points)
        x, y = pixels[0].unbind(-1)
        seen |= (depth[0] > 0) & (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
    return seen


def share(unknown: torch.Tensor) -> torch.Tensor:
    return unknown.flatten(1).float().mean(1)


def away(frame: int) -> float:
    """Degrees between a frame of the turn and the photo."""
    return 360 * min(frame, FRAMES - frame) / FRAMES


class TestWindow:
    def test_begins_where_enough_is_known_and_much_is_new(self, after_the_photo, points, cameras) -> None:
        first = plan_window(after_the_photo, points, cameras, 4, SETTINGS)[0]
        assert 1 - share(after_the_photo)[first] >= SETTINGS.min_known
        assert share(after_the_photo)[first] > 0.3

    def test_is_one_connected_piece_of_space(self, after_the_photo, points, cameras) -> None:
        """Every frame sees unknown space that an earlier frame of the window sees too."""
        chosen = plan_window(after_the_photo, points, cameras, 4, SETTINGS)
        for count in range(1, len(chosen)):
            assert (after_the_photo & seen_by(points, cameras, chosen[:count]))[chosen[count]].any()

    def test_shows_nothing_twice(self, after_the_photo, points, cameras) -> None:
        """Each frame of a window brings further new space beyond the frames before it."""
        chosen = plan_window(after_the_photo, points, cameras, 4, SETTINGS)
        assert len(chosen) == len(set(chosen)) > 1
        for count in range(1, len(chosen)):
            fresh = after_the_photo & ~seen_by(points, cameras, chosen[:count])
            assert share(fresh)[chosen[count]] > SETTINGS.min_unknown

    def test_is_no_longer_than_asked(self, after_the_photo, points, cameras) -> None:
        for length in (1, 2, 3):
            assert len(plan_window(after_the_photo, points, cameras, length, SETTINGS)) <= length

    def test_equal_cameras_are_not_both_made(self, after_the_photo, points, cameras) -> None:
        twice = [5, 5, 5]
        chosen = plan_window(after_the_photo[twice], points[twice], cameras[twice], 4, SETTINGS)
        assert len(chosen) == 1

    def test_without_anything_known_the_best_known_frame_is_taken(self, points, cameras) -> None:
        unknown = torch.ones(FRAMES, HEIGHT, WIDTH, dtype=torch.bool)
        unknown[9, :, :5] = False
        assert plan_window(unknown, points, cameras, 1, SETTINGS) == [9]

    def test_a_speck_is_not_worth_a_window(self, points, cameras) -> None:
        unknown = torch.zeros(FRAMES, HEIGHT, WIDTH, dtype=torch.bool)
        unknown[3, 0, :3] = True
        assert share(unknown)[3] < SETTINGS.min_unknown
        assert plan_window(unknown, points, cameras, 4, SETTINGS) == []
        unknown[3, :2, :3] = True
        assert plan_window(unknown, points, cameras, 4, SETTINGS) == [3]

    def test_nearer_to_the_photo_comes_first_among_equals(self, points, cameras) -> None:
        unknown = torch.zeros(FRAMES, HEIGHT, WIDTH, dtype=torch.bool)
        unknown[[4, 11], :, 20:] = True
        assert plan_window(unknown, points, cameras, 1, SETTINGS) == [4]

    def test_frames_made_before_are_tried_again_only_if_much_is_left(self, points, cameras) -> None:
        unknown = torch.zeros(FRAMES, HEIGHT, WIDTH, dtype=torch.bool)
        unknown[6, :1, :] = True  # a row: 5.6 % of the picture
        made = torch.zeros(FRAMES, dtype=torch.bool)
        assert plan_window(unknown, points, cameras, 1, SETTINGS, made) == [6]
        made[6] = True
        assert plan_window(unknown, points, cameras, 1, SETTINGS, made) == []
        unknown[6, :6, :] = True
        assert plan_window(unknown, points, cameras, 1, SETTINGS, made) == [6]


def test_a_full_turn_is_planned_outward_and_closed_at_the_back(after_the_photo, points, cameras) -> None:
    """Windows as they would follow each other if each were made perfectly."""
    unknown, windows, made = after_the_photo.clone(), [], []
    again = torch.zeros(FRAMES, dtype=torch.bool)
    while window := plan_window(unknown, points, cameras, 4, SETTINGS, again):
        windows.append(window)
        made += window
        unknown &= ~seen_by(points, cameras, window)
        again[[(frame + step) % FRAMES for frame in window for step in (-1, 0, 1)]] = True
        assert len(windows) < FRAMES, "the plan does not end"
    assert share(unknown).max() <= SETTINGS.min_unknown_again
    assert len(made) == len(set(made)) <= FRAMES // 2
    assert away(made[0]) < 90
    assert max(away(frame) for frame in windows[-1]) > 120
    sides = {frame < FRAMES / 2 for frame in made if away(frame) < 150}
    assert sides == {True, False}, "outward on both sides"


@pytest.mark.parametrize("kind", ["pictures", "video"])
def test_what_stays_unknown_however_often_it_is_made_is_given_up(kind: str, cameras) -> None:
    """What is seen from behind, say, where nothing may be written that would show from the front."""
    memory, film, made, asked = SpatialMemory(), Trajectory(cameras), [], 0
    photo = room().render(cameras[0])
    memory.write(photo.rgb[0], photo.depth[0], cameras[0], torch.ones(HEIGHT, WIDTH, dtype=torch.bool))
    planner: Planner = VideoPlanner(film, 5, SETTINGS)
    if kind == "pictures":
        planner = PicturePlanner(fit_scene_layout(memory, cameras), 2, SETTINGS)
    while len(window := planner(memory, film, made).window):
        made += window.moments
        asked += 1
        assert asked <= MOST_TIMES * FRAMES, "the plan does not end"
    assert len(made) > FRAMES
