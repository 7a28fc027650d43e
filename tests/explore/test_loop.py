import numpy as np
import pytest
import torch
from splatmem.depth import DepthPrediction
from splatmem.explore.beginnings import begin_memory
from splatmem.explore.loop import ExploreSettings, explore
from splatmem.explore.planner import PlanSettings, plan_window
from splatmem.explore.widening import ready_for_path
from splatmem.extrapolate.scene import fit_scene_layout
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import FilledFrames, PartialFrames, load_inpainter
from splatmem.memory.spatial_memory import VISIBLE_EXTENT
from splatmem.timing import StageClock
from splatmem.trajectory.trajectory import Trajectory

from textured_room import RoomDepth

SETTINGS = ExploreSettings(photo_refine_steps=8, refine_steps=2)


class RecordingInpainter:
    """Fills with grey at the layout's depth, and keeps what it was given."""

    name = "recording"
    window_frames = 4
    reference_views = 1

    def __init__(self) -> None:
        self.given: list[PartialFrames] = []
        self.layout = None

    def prepare(self, memory, trajectory, seed):
        self.layout = fit_scene_layout(memory, trajectory)
        return self

    def __call__(self, partial, *, generator, prompt="", reference=None) -> FilledFrames:
        self.given.append(partial)
        assert self.layout is not None
        depth = torch.where(partial.known, partial.depth, self.layout.render(partial.cameras).depth)
        # The loop puts the known pixels back by itself.
        return FilledFrames(torch.full_like(partial.rgb, 0.5), depth, notes=("a note",))


@pytest.fixture(scope="module")
def explored(room_turn, room_frames):
    clock, inpainter = StageClock(), RecordingInpainter()
    depth = RoomDepth(room_turn[0])
    memory = begin_memory(room_frames[0][0], room_turn[0], depth, SETTINGS, clock)
    shares: list[float] = []
    state = explore(memory, Trajectory(room_turn), inpainter, depth, settings=SETTINGS, clock=clock, progress=shares.append)
    return memory, state, inpainter, shares, clock


def test_a_full_turn_is_closed_with_few_generated_frames(explored, room_turn):
    memory, state, _, shares, _ = explored
    assert state.finished
    assert state.generated_frames <= len(room_turn) // 2
    assert (~memory.read(room_turn).known).float().mean() < 0.02
    assert shares == sorted(shares, reverse=True)


def test_generation_runs_outward_and_closes_at_the_back(explored, room_turn):
    _, state, inpainter, _, _ = explored
    first, last = state.windows[0], state.windows[-1]
    away = torch.rad2deg(torch.acos(room_turn.forward[:, 2].clamp(-1, 1)))
    assert away[first[0]] < 90
    assert max(away[last].tolist()) > 120
    # Every window holds on to something known.
    assert all(given.known.flatten(1).float().mean(1).max() > 0.2 for given in inpainter.given)


def test_what_was_known_stays(explored):
    memory, _, _, _, _ = explored
    values = memory.retention_psnr()
    assert min(values) > 28
    assert np.mean(values) > 35


def test_nothing_is_made_where_the_film_goes(room_turn, room_frames):
    """The second camera makes a wall just where the third one stands."""

    def wall(partial: PartialFrames, **_: object) -> FilledFrames:
        depth = torch.full_like(partial.depth, 1.0)
        return FilledFrames(torch.full_like(partial.rgb, 0.5), torch.where(partial.known, partial.depth, depth))

    depth = RoomDepth(room_turn[0])
    memory = begin_memory(room_frames[0][0], room_turn[0], depth, SETTINGS, StageClock())
    given = len(memory.gaussians)
    aside = room_turn[0].turned(90.0)
    film = Trajectory(Cameras.cat([room_turn[0], aside, aside.moved(ahead=1.0)]))
    explore(memory, film, wall, depth, settings=SETTINGS)
    bodies = memory.as_given().free_space().bodies_ahead(film.cameras)
    made = memory.gaussians.select(slice(given, None))
    assert len(made) > 100
    assert not bodies.reached(made.means, VISIBLE_EXTENT * made.scales.amax(1)).any()


def test_known_depth_meets_made_depth_without_a_step(explored):
    assert np.median(explored[1].border_steps) < 0.02


def test_time_is_booked_by_stage(explored):
    assert {"read", "fill", "write", "refine", "depth"} <= set(explored[4].seconds)


def test_layout_of_a_room_finds_its_walls(explored, room_turn):
    layout = fit_scene_layout(explored[0].as_given(), room_turn)
    assert layout.high[2] == pytest.approx(3.5, rel=0.05)
    # The first view sees little of floor and ceiling: their distance is known roughly.
    assert layout.high[1] == pytest.approx(1.4, rel=0.35)
    assert layout.low[1] == pytest.approx(-1.2, rel=0.35)


def test_embedded_inpainter_keeps_known_pixels_bit_for_bit(explored, room_turn):
    memory = explored[0].as_given()
    cameras = room_turn[[2, 3, 4]]
    reading = memory.read(cameras)
    partial = PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, cameras)

    def flat(images, *, fov_x_degrees=None):
        return DepthPrediction(torch.full(images.shape[:3], 2.0), metric=False)

    inpainter = ready_for_path(load_inpainter("embedded"), memory, room_turn, 0, flat)
    filled = inpainter(partial, generator=torch.Generator().manual_seed(1))
    again = inpainter(partial, generator=torch.Generator().manual_seed(1))
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])
    assert filled.depth is not None
    assert torch.isfinite(filled.depth).all()
    assert filled.depth.min() > 0
    assert torch.equal(filled.rgb, again.rgb)
    assert filled.rgb.shape == partial.rgb.shape


def test_unknown_inpainter_is_named():
    with pytest.raises(ValueError, match="no inpainter 'nonsense'"):
        load_inpainter("nonsense")


def test_nothing_is_planned_when_all_is_seen(room_turn):
    unknown = torch.zeros(len(room_turn), 9, 16, dtype=torch.bool)
    points = torch.ones(len(room_turn), 9, 16, 3)
    assert plan_window(unknown, points, room_turn.resized(16, 9), 4, PlanSettings()) == []


@pytest.mark.breaks_annotations
def test_partial_frames_say_which_shape_is_wrong(room_turn):
    size = (2, 72, 128)
    with pytest.raises(ValueError, match=r"PartialFrames\.depth"):
        PartialFrames(
            torch.zeros(*size, 3),
            torch.zeros(2, 5, 5),
            torch.zeros(size, dtype=torch.bool),
            torch.zeros(size),
            room_turn[[0, 1]],
        )


def test_a_single_camera_path_needs_nothing(room_turn, room_frames):
    clock, depth = StageClock(), RoomDepth(room_turn[0])
    memory = begin_memory(room_frames[0][0], room_turn[0], depth, SETTINGS, clock)
    path = Cameras.cat([room_turn[0], room_turn[0]])
    state = explore(memory, Trajectory(path), RecordingInpainter(), depth, settings=SETTINGS, clock=clock)
    assert state.generated_frames == 0
