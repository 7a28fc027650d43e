"""Wide views around a scene's first one: which there are, which are made, and that windows are filled from them."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from splatmem.depth import DepthPrediction
from splatmem.explore.beyond import beyond, in_room
from splatmem.explore.loop import ExploreSettings, explore
from splatmem.explore.wide_views import CLOSING, LIGHTS, WIDE, WideViews, wide_views
from splatmem.explore.widening import WideViewsFirst, ready_for_path, ready_to_look
from splatmem.extrapolate.plain_room import PlainRoom
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import FilledFrames, PartialFrames, load_inpainter
from splatmem.memory import SpatialMemory
from splatmem.metrics import psnr
from splatmem.trajectory.trajectory import Trajectory

from textured_room import room, turn

DOWN = torch.tensor([0.0, 1.0, 0.0])


@pytest.fixture(autouse=True)
def _in_the_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The textured room has no sky, but is taken for a place in the open."""
    monkeypatch.setattr("splatmem.explore.beyond.shows_open_air", lambda memory: True)


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
    """Fills wide views of the room with the room as it is, and tells their depth; of each what it was asked is kept."""

    def __init__(self, memory: SpatialMemory) -> None:
        self.shown = room().render(Cameras.cat([wide.camera for wide in wide_views(memory)]))
        self.filled: list[int] = []

    def fill(self, rgb: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        off = [(rgb - other)[known].abs().mean() for other in self.shown.rgb]
        self.filled.append(int(torch.stack(off).argmin()))
        return torch.where(known[..., None], rgb, self.shown.rgb[self.filled[-1]])

    def __call__(self, images: torch.Tensor, *, fov_x_degrees: float | None = None) -> DepthPrediction:
        size = images.shape[1:3]
        rgb = F.interpolate(self.shown.rgb.permute(0, 3, 1, 2), size=size, mode="area").permute(0, 2, 3, 1)
        depth = F.interpolate(self.shown.depth[:, None], size=size, mode="nearest-exact")[:, 0]
        best = [int((rgb - image).abs().mean((1, 2, 3)).argmin()) for image in images]
        return DepthPrediction(depth[best], metric=True)


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


@pytest.mark.parametrize("fov", [30.0, 60.0, 90.0])
def test_views_go_all_the_way_round_each_beside_what_is_known(fov: float) -> None:
    camera = Cameras.from_fov(torch.eye(4)[None], fov, 96, 54)
    memory = SpatialMemory(down=DOWN)
    memory.write(torch.rand(54, 96, 3), torch.full((54, 96), 2.0), camera, torch.ones(54, 96, dtype=torch.bool))
    views = wide_views(memory)
    corners = torch.tensor([[[0.0, 0.0], [95.0, 53.0]]])
    rays = camera.world_rays()[0]
    for x, y in corners[0].long().tolist():
        pixels, _ = views[0].camera.project(rays[y, x])
        torch.testing.assert_close(pixels[0] - torch.tensor([48.0, 16.0]), torch.tensor([x + 0.5, y + 0.5]), atol=0.01, rtol=0)
    azimuth = torch.arange(360) * math.pi / 180
    directions = torch.stack([azimuth.sin(), torch.zeros(360), azimuth.cos()], dim=-1)
    known = torch.zeros(360, dtype=torch.bool)
    for number, wide in enumerate(views):
        assert all(before < number for before in wide.before)
        sees = wide.camera.sees(directions)[0]
        if number:
            held = (sees & known).float().sum() / sees.float().sum()
            assert 0.25 < held < 1, "a part is known"
        known |= sees
    assert known.all()
    assert len(views) <= 2 + math.ceil((360 - 40) / (WIDE / 2))
    assert CLOSING < WIDE


def test_only_what_cameras_lack_is_made(view: Cameras, given: SpatialMemory) -> None:
    def made(cameras: Cameras) -> set[int]:
        knows = KnowsTheRoom(given)
        around = WideViews(given, knows.fill, knows, None)
        around.make_for(cameras)
        assert len(knows.filled) == len(around.made)
        return around.made

    assert made(view) == set()
    assert made(view.turned(15.0)) == {0}
    assert made(view.turned(60.0)) == {0, 1}, "the one before it as well"
    assert made(Cameras.cat([view.turned(angle) for angle in range(0, 360, 30)])) == set(range(len(wide_views(given))))


def test_views_on_both_sides_are_made_at_once_as_one_after_the_other(view: Cameras, given: SpatialMemory) -> None:
    def around() -> WideViews:
        knows = KnowsTheRoom(given)
        return WideViews(given, knows.fill, knows, None)

    at_once, in_turn = around(), around()
    everywhere = Cameras.cat([view.turned(angle) for angle in (0.0, 60.0, 180.0, 300.0)])
    at_once.make_for(everywhere)
    for index in range(len(in_turn.views)):
        in_turn.make(index)
    assert at_once.made == in_turn.made
    seen, expected = at_once.memory.read(everywhere), in_turn.memory.read(everywhere)
    assert torch.equal(seen.known, expected.known)
    torch.testing.assert_close(seen.rgb, expected.rgb)


def test_rooms_get_the_first_alone(view: Cameras, given: SpatialMemory) -> None:
    knows = KnowsTheRoom(given)
    turn_around = Cameras.cat([view.turned(angle) for angle in range(0, 360, 30)])
    around = WideViews(given, knows.fill, knows, partial(in_room, room=PlainRoom.around(given, turn_around)))
    around.make_for(turn_around)
    assert around.made == {0}


def test_a_close_up_goes_on_as_another_inpainter_makes_it_and_a_room_plainly(
    view: Cameras, given: SpatialMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows, behind = KnowsTheRoom(given), view.turned(180.0)
    reading = given.read(behind)
    frames = PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, behind, None)
    assert beyond(given, behind, lambda: Grey(knows)) is None, "it is in the open"
    monkeypatch.setattr("splatmem.explore.beyond.shows_open_air", lambda memory: False)
    given.metric, given.scale = True, 0.5
    near = beyond(given, behind, lambda: Grey(knows))
    assert near is not None
    assert (near(frames).rgb == 0.5).all()
    given.scale = 3.0
    indoors = beyond(given, behind, lambda: Grey(knows))
    assert indoors is not None
    torch.testing.assert_close(indoors(frames).rgb, PlainRoom.around(given, behind).render(behind).rgb)


def test_the_network_is_shown_a_plain_room_along_the_sides(view: Cameras, given: SpatialMemory) -> None:
    plain = PlainRoom.around(given, view)
    shown: list[tuple[torch.Tensor, torch.Tensor]] = []

    def fill(rgb: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        shown.append((rgb, known))
        return torch.where(known[..., None], rgb, 0.5)

    around = WideViews(given, fill, KnowsTheRoom(given), partial(in_room, room=plain))
    around.make_for(view.turned(70.0))
    [(rgb, known)] = shown
    height, width = known.shape
    camera = around.views[0].camera
    now = given.read(camera)
    unknown = ~now.known[0]
    sides = torch.zeros_like(known)
    sides[:, : width // 12], sides[:, -(width // 12) :], sides[: height // 16], sides[-(height // 16) :] = [True] * 4
    expected = in_room(PartialFrames(now.rgb, now.depth, now.known, now.trust, camera, None), plain).rgb[0]
    assert known[sides].all()
    torch.testing.assert_close(rgb[sides & unknown], expected[sides & unknown])
    assert (~known & unknown).float().mean() > 0.3, "what is between is the network's"


def test_where_a_wide_view_ends_it_fades_into_the_room(view: Cameras, given: SpatialMemory) -> None:
    """The network makes all of it red: there is no border from red to the room."""
    knows, aside = KnowsTheRoom(given), view.turned(45.0)
    plain = PlainRoom.around(given, aside)
    red = torch.tensor([1.0, 0.0, 0.0])
    around = WideViews(given, lambda rgb, known: torch.where(known[..., None], rgb, red), knows, partial(in_room, room=plain))
    reading = given.read(aside)
    frames = PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, aside, None)
    filled = WideViewsFirst(lambda: Grey(knows), around, None)(frames, generator=torch.Generator())
    middle = filled.rgb[0, 27]
    inside = around.inside(aside, plain.render(aside).depth)[0, 27]
    assert inside.min() == 0
    assert (inside.diff().abs() < 0.25).all()
    assert (middle - plain.render(aside).rgb[0, 27])[inside == 0].abs().max() < 0.2
    unknown = ~reading.known[0, 27, 1:] & ~reading.known[0, 27, :-1]
    assert middle[:, 0].max() > 0.95
    assert middle.diff(dim=0).abs().amax(dim=1)[unknown].max() < 0.25


def test_what_they_do_not_show_of_a_room_is_plain(view: Cameras, given: SpatialMemory) -> None:
    knows, behind = KnowsTheRoom(given), view.turned(180.0)
    plain = PlainRoom.around(given, behind)
    around = WideViews(given, knows.fill, knows, partial(in_room, room=plain))
    grey = Grey(knows)
    reading = given.read(behind)
    frames = PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, behind, None)
    filled = WideViewsFirst(lambda: grey, around, None)(frames, generator=torch.Generator())
    assert grey.unknown == 0
    seen, expected = around.memory.read(behind).known, plain.render(behind)
    far = ~seen & (torch.arange(96) > 40) & (torch.arange(96) < 56)
    assert far.any()
    assert filled.depth is not None
    torch.testing.assert_close(filled.depth[far], expected.depth[far])
    assert (filled.rgb[far] - expected.rgb[far]).abs().max() < 0.1


def test_windows_are_filled_from_them(view: Cameras, given: SpatialMemory) -> None:
    knows, before = KnowsTheRoom(given), len(given.gaussians)
    film = Trajectory(Cameras.cat([view.turned(angle) for angle in (0.0, 60.0, 120.0, 180.0, 240.0, 300.0)]))
    grey = Grey(knows)
    ready = ready_for_path(grey, given, film.cameras, 0, knows)
    assert isinstance(ready, WideViewsFirst)
    state = explore(given, film, grey, knows, settings=ExploreSettings(refine_steps=2))
    assert state.generated_frames >= 3
    assert len(knows.filled) == len(wide_views(given)), "each once"
    assert grey.unknown < 0.05 * len(film) * 96 * 54
    behind = view.turned(180.0)
    reading, truth = given.read(behind), room().render(behind)
    assert psnr(reading.rgb, truth.rgb, reading.known) > 20
    assert len(given.gaussians) > before


def test_those_who_look_around_have_what_they_see_made_and_keep_it(view: Cameras, given: SpatialMemory) -> None:
    knows = KnowsTheRoom(given)
    grey = Grey(knows)
    first = ready_to_look(grey, given, view, 0, knows, None)
    generator = torch.Generator()

    def look(inpainter, camera: Cameras) -> None:
        reading = given.read(camera)
        inpainter(PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, camera, None), generator=generator)

    look(first, view.turned(15.0))
    assert len(knows.filled) == 1
    second = ready_to_look(grey, given, view, 0, knows, first)
    look(second, view.turned(15.0))
    assert len(knows.filled) == 1, "it was there"
    look(second, view.turned(60.0))
    assert len(knows.filled) == 2


def test_the_embedded_inpainter_wants_them_and_others_do_not(view: Cameras, given: SpatialMemory) -> None:
    knows = KnowsTheRoom(given)
    assert isinstance(ready_for_path(load_inpainter("embedded"), given, view, 0, knows), WideViewsFirst)
    other = load_inpainter("push-pull")
    assert ready_for_path(other, given, view, 0, knows) is other


def test_what_is_made_grows_neither_dark_nor_bright(view: Cameras, given: SpatialMemory) -> None:
    class Dark(KnowsTheRoom):
        def fill(self, rgb: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
            return torch.where(known[..., None], rgb, 0.6 * super().fill(rgb, known))

    knows = Dark(given)
    around = WideViews(given, knows.fill, knows, None)
    around.make_for(view.turned(40.0))
    aside = view.turned(25.0)
    seen, truth = around.memory.read(aside), room().render(aside)
    far = seen.known & (torch.arange(96) > 60)
    ratio = float(seen.rgb[far].mean() / truth.rgb[far].mean())
    assert 0.65 < ratio < LIGHTS, "brighter than it was made"
    reading = around.memory.read(view)
    assert psnr(reading.rgb, given.read(view).rgb) > 40


def test_they_are_made_ahead_piece_by_piece_and_what_is_left_off_goes_on(view: Cameras, given: SpatialMemory) -> None:
    knows = KnowsTheRoom(given)
    grey = Grey(knows)
    ready = ready_to_look(grey, given, view, 0, knows, None)
    assert isinstance(ready, WideViewsFirst)

    def left_off() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        ready.make_ahead(left_off)
    assert ready.around.made == set()
    steps = []
    while (made := ready.make_ahead(lambda: None)) is not None:
        steps.append(made)
    parts = len(wide_views(given)) + 1
    assert steps == [(number, parts) for number in range(1, parts + 1)]
    assert len(knows.filled) == parts - 1, "the picture that was made when it was left off was kept"
    reading = given.read(view.turned(120.0))
    frames = PartialFrames(reading.rgb, reading.depth, reading.known, reading.trust, view.turned(120.0), None)
    ready(frames, generator=torch.Generator())
    assert len(knows.filled) == parts - 1, "a look finds all of them there"
