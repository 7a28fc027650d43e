"""The wide view around a scene's first one: when it is made, what lies beyond it, and that windows are filled from both."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from splatmem.depth import DepthPrediction
from splatmem.explore.beyond import beyond, plainly
from splatmem.explore.loop import ExploreSettings, explore
from splatmem.explore.wide_view import WideView, wide_camera
from splatmem.explore.widening import WideViewFirst, ready_for_path, ready_to_look
from splatmem.extrapolate.plain_place import plain_place
from splatmem.extrapolate.plain_room import PlainRoom
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.distance import distance_inside
from splatmem.inpaint import FilledFrames, PartialFrames, VideoInpainter, load_inpainter
from splatmem.memory import SpatialMemory
from splatmem.metrics import psnr
from splatmem.trajectory.trajectory import Trajectory

from textured_room import room, turn

DOWN = torch.tensor([0.0, 1.0, 0.0])


@pytest.fixture
def view() -> Cameras:
    return turn(1, 96, 54)[[0]].turned(20.0)


@pytest.fixture
def given(view: Cameras) -> SpatialMemory:
    shown = room().render(view)
    memory = SpatialMemory(down=DOWN)
    memory.write(shown.rgb[0], shown.depth[0], view, torch.ones_like(shown.depth[0], dtype=torch.bool))
    memory.refine(6)
    return memory


class KnowsTheRoom:
    """Fills the wide view of the room with the room as it is, and tells its depth; how often it was asked is kept."""

    def __init__(self, memory: SpatialMemory) -> None:
        self.shown, self.filled = room().render(wide_camera(memory.views[0].camera)), 0

    def fill(self, rgb: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        self.filled += 1
        return torch.where(known[..., None], rgb, self.shown.rgb[0])

    def __call__(self, images: torch.Tensor, *, fov_x_degrees: float | None = None) -> DepthPrediction:
        depth = F.interpolate(self.shown.depth[:, None], size=images.shape[1:3], mode="nearest-exact")[:, 0]
        return DepthPrediction(depth.expand(len(images), -1, -1), metric=True)


class Grey:
    """Fills with grey, and counts what it was given to fill."""

    name, window_frames = "grey", 1

    def __init__(self, knows: KnowsTheRoom) -> None:
        self.fill_wide, self.unknown = knows.fill, 0

    def __call__(self, partial: PartialFrames, **_: object) -> FilledFrames:
        self.unknown += int((~partial.known).sum())
        return FilledFrames(
            torch.where(partial.known[..., None], partial.rgb, 0.5), torch.where(partial.known, partial.depth, 3.0)
        )


def partial_frames(memory: SpatialMemory, camera: Cameras) -> PartialFrames:
    reading = memory.read(camera)
    return PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, camera, None)


@pytest.mark.parametrize("fov", [30.0, 60.0, 90.0])
def test_the_wide_camera_shows_what_the_first_one_does_and_more_around_it(fov: float) -> None:
    camera = Cameras.from_fov(torch.eye(4)[None], fov, 96, 54)
    wide, rays = wide_camera(camera), camera.world_rays()[0]
    assert (wide.width, wide.height) == (192, 86)
    for x, y in ((0, 0), (95, 53)):
        pixels, _ = wide.project(rays[y, x])
        torch.testing.assert_close(pixels[0] - torch.tensor([48.0, 16.0]), torch.tensor([x + 0.5, y + 0.5]), atol=0.01, rtol=0)


def test_it_is_made_once_for_cameras_that_lack_what_it_shows(view: Cameras, given: SpatialMemory) -> None:
    knows = KnowsTheRoom(given)
    around = WideView(given, knows.fill, knows, partial(plainly, place=PlainRoom.around(given, view)))
    around.make_for(view)
    around.make_for(view.turned(180.0))
    assert not around.made
    around.make_for(Cameras.cat([view, view.turned(15.0)]))
    around.make_for(view.turned(15.0))
    assert around.made
    assert knows.filled == 1


def test_beyond_it_the_place_goes_on_plainly(view: Cameras, given: SpatialMemory) -> None:
    behind = view.turned(180.0)
    made = beyond(given, behind)(partial_frames(given, behind))
    torch.testing.assert_close(made.rgb, plain_place(given, behind).render(behind).rgb)


def test_the_network_is_shown_a_plain_room_along_the_sides(view: Cameras, given: SpatialMemory) -> None:
    plain = PlainRoom.around(given, view)
    shown: list[tuple[torch.Tensor, torch.Tensor]] = []

    def fill(rgb: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        shown.append((rgb, known))
        return torch.where(known[..., None], rgb, 0.5)

    around = WideView(given, fill, KnowsTheRoom(given), partial(plainly, place=plain))
    around.make_for(view.turned(70.0))
    [(rgb, known)] = shown
    height, width = known.shape
    camera = around.camera
    now = partial_frames(given, camera)
    unknown = ~now.known[0]
    sides = torch.zeros_like(known)
    sides[:, : width // 12], sides[:, -(width // 12) :], sides[: height // 16], sides[-(height // 16) :] = [True] * 4
    expected = plainly(now, plain).rgb[0]
    assert known[sides].all()
    torch.testing.assert_close(rgb[sides & unknown], expected[sides & unknown])
    assert (~known & unknown).float().mean() > 0.3, "what is between is the network's"


def test_where_a_wide_view_ends_it_fades_into_the_room(view: Cameras, given: SpatialMemory) -> None:
    """The network makes all of it red: there is no border from red to the room."""
    knows, aside = KnowsTheRoom(given), view.turned(45.0)
    plain = PlainRoom.around(given, aside)
    red = torch.tensor([1.0, 0.0, 0.0])
    around = WideView(given, lambda rgb, known: torch.where(known[..., None], rgb, red), knows, partial(plainly, place=plain))
    frames = partial_frames(given, aside)
    filled = WideViewFirst(around, None)(frames, generator=torch.Generator())
    middle = filled.rgb[0, 27]
    inside = around.inside(aside, plain.render(aside).depth)[0, 27]
    assert inside.min() == 0
    assert (inside.diff().abs() < 0.25).all()
    assert (middle - plain.render(aside).rgb[0, 27])[inside == 0].abs().max() < 0.2
    unknown = ~frames.known[0, 27, 1:] & ~frames.known[0, 27, :-1]
    assert middle[:, 0].max() > 0.95
    assert middle.diff(dim=0).abs().amax(dim=1)[unknown].max() < 0.25


def test_what_they_do_not_show_of_a_room_is_plain(view: Cameras, given: SpatialMemory) -> None:
    knows, behind = KnowsTheRoom(given), view.turned(180.0)
    plain = PlainRoom.around(given, behind)
    around = WideView(given, knows.fill, knows, partial(plainly, place=plain))
    frames = partial_frames(given, behind)
    filled = WideViewFirst(around, None)(frames, generator=torch.Generator())
    seen, expected = around.memory.read(behind).known, plain.render(behind)
    far = ~seen & (torch.arange(96) > 40) & (torch.arange(96) < 56)
    assert far.any()
    assert filled.depth is not None
    torch.testing.assert_close(filled.depth[far], expected.depth[far])
    assert (filled.rgb[far] - expected.rgb[far]).abs().max() < 0.1


def test_in_a_wide_gap_behind_a_thing_the_place_shows(view: Cameras) -> None:
    """Nothing hangs between the thing and the wall."""
    shown, board = room().render(view), torch.zeros(54, 96, dtype=torch.bool)
    board[8:46, 30:66] = True
    memory = SpatialMemory(down=DOWN)
    memory.write(
        torch.where(board[..., None], torch.tensor([1.0, 0.0, 0.0]), shown.rgb[0]),
        torch.where(board, 1.0, shown.depth[0]), view, torch.ones_like(board),
    )  # fmt: skip
    knows, aside = KnowsTheRoom(memory), view.moved(right=0.5)
    plain = PlainRoom.around(memory, aside)
    around = WideView(memory, knows.fill, knows, partial(plainly, place=plain))
    frames = partial_frames(memory, aside)
    filled = WideViewFirst(around, None)(frames, generator=torch.Generator())
    gap = distance_inside(~around.memory.read(aside).known[0]) > 4
    assert gap.sum() > 100
    assert filled.depth is not None
    assert (filled.depth[0] / plain.render(aside).depth[0])[gap].log().abs().median() < 0.05
    assert (filled.depth[0][gap] > 2.0).all(), "the board is 1 away"


def test_windows_are_filled_from_it(view: Cameras, given: SpatialMemory) -> None:
    knows, before = KnowsTheRoom(given), len(given.gaussians)
    film = Trajectory(Cameras.cat([view.turned(angle) for angle in (0.0, 20.0, 40.0, 180.0)]))
    grey = Grey(knows)
    assert isinstance(ready_for_path(grey, given, film.cameras, 0, knows), WideViewFirst)
    state = explore(given, film, grey, knows, settings=ExploreSettings(refine_steps=2))
    assert state.generated_frames >= 2
    assert knows.filled == 1
    assert grey.unknown == 0, "the room goes on plainly"
    beside = view.turned(20.0)
    reading, truth = given.read(beside), room().render(beside)
    assert psnr(reading.rgb, truth.rgb, reading.known) > 20
    assert len(given.gaussians) > before


def test_those_who_look_around_have_it_made_when_they_see_it_and_keep_it(view: Cameras, given: SpatialMemory) -> None:
    knows = KnowsTheRoom(given)
    grey = Grey(knows)
    first = ready_to_look(grey, given, view, 0, knows, None)

    def look(inpainter: VideoInpainter, camera: Cameras) -> None:
        inpainter(partial_frames(given, camera), generator=torch.Generator())

    look(first, view.turned(180.0))
    assert knows.filled == 0
    look(first, view.turned(15.0))
    assert knows.filled == 1
    look(ready_to_look(grey, given, view, 0, knows, first), view.turned(-15.0))
    assert knows.filled == 1, "it was there"


def test_the_embedded_inpainter_wants_it_and_others_do_not(view: Cameras, given: SpatialMemory) -> None:
    knows = KnowsTheRoom(given)
    assert isinstance(ready_for_path(load_inpainter("embedded"), given, view, 0, knows), WideViewFirst)
    other = load_inpainter("push-pull")
    assert ready_for_path(other, given, view, 0, knows) is other


def test_it_is_made_ahead_and_what_is_left_off_goes_on(view: Cameras, given: SpatialMemory) -> None:
    knows = KnowsTheRoom(given)
    ready = ready_to_look(Grey(knows), given, view, 0, knows, None)
    assert isinstance(ready, WideViewFirst)

    def left_off() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        ready.make_ahead(left_off)
    assert not ready.around.made
    assert [ready.make_ahead(lambda: None) for _ in range(2)] == [True, False]
    assert knows.filled == 1, "the picture that was made when it was left off was kept"
    ready(partial_frames(given, view.turned(20.0)), generator=torch.Generator())
    assert knows.filled == 1


def test_a_dark_edge_of_what_is_known_darkens_no_window(given: SpatialMemory, view: Cameras) -> None:
    """Its pixels are half covered, and show half of what was smeared in beside them."""
    place = PlainRoom.around(given, view)
    plain = place.render(view)
    known = torch.zeros_like(plain.depth, dtype=torch.bool)
    known[..., -1] = True
    rgb = plain.rgb.clone()
    rgb[..., -1, :] -= 0.2
    partial = PartialFrames(rgb, plain.depth, known, torch.ones_like(plain.depth), view)
    torch.testing.assert_close(plainly(partial, place).rgb, plain.rgb.clamp(0, 1))
