"""A turn around the first camera as one picture, and a scene that begins with it."""

from __future__ import annotations

import torch
from splatmem.config import Config, InpainterConfig
from splatmem.depth import DepthPrediction
from splatmem.explore.loop import ExploreSettings, explore
from splatmem.explore.models import Models
from splatmem.explore.panorama import NOTE, PanoramaFirst, with_panorama
from splatmem.extrapolate.cylinder import Cylinder
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import FilledFrames, PartialFrames
from splatmem.memory import SpatialMemory
from splatmem.metrics import psnr
from splatmem.trajectory.trajectory import Trajectory

import tiny_models
from textured_room import room, turn

DOWN = torch.tensor([0.0, 1.0, 0.0])


def camera(pitch: float = 0.0) -> Cameras:
    return turn(1, 96, 54)[[0]].turned(20.0, pitch)


def cylinder(view: Cameras) -> Cylinder:
    return Cylinder.around(view, DOWN, 200_000, (16, 8))


def truth(place: Cylinder, view: Cameras) -> torch.Tensor:
    """The picture of the room, from many views of it."""
    views = place.turned(view, 16)
    shown = room().render(views)
    everywhere = torch.ones(shown.rgb.shape[:3], dtype=torch.bool)
    return place.of_views(views, shown.rgb, everywhere, everywhere.float())[0]


class KnowsTheRoom:
    """Fills a turn with the room as it is, and anything else with grey."""

    name, window_frames, fills_turns = "room", 1, True

    def __init__(self, view: Cameras) -> None:
        self.view, self.asked, self.turns = view, 0, []

    def turn_sizes(self) -> tuple[int, tuple[int, int]]:
        return 200_000, (16, 8)

    def fill_turn(self, rgb, known, trust, *, generator, prompt=""):
        self.turns.append((rgb, known, generator.initial_seed(), prompt))
        return truth(cylinder(self.view), self.view)

    def __call__(self, partial: PartialFrames, **_: object) -> FilledFrames:
        self.asked += 1
        return FilledFrames(torch.where(partial.known[..., None], partial.rgb, 0.5))


class RoomDepths:
    """Tells the depth of whichever view of the room looks most like the picture."""

    def __init__(self, views: Cameras) -> None:
        self.shown = room().render(views)

    def __call__(self, images, *, fov_x_degrees=None) -> DepthPrediction:
        best = [int((self.shown.rgb - image).abs().mean((1, 2, 3)).argmin()) for image in images]
        return DepthPrediction(self.shown.depth[best], metric=True)


def memory(view: Cameras) -> SpatialMemory:
    shown = room().render(view)
    made = SpatialMemory(down=DOWN)
    made.write(shown.rgb[0], shown.depth[0], view, torch.ones_like(shown.depth[0], dtype=torch.bool))
    made.refine(6)
    return made


def test_a_cylinder_holds_what_views_show_and_shows_it_again() -> None:
    for pitch in (0.0, 12.0):
        view = camera(pitch)
        place = cylinder(view)
        assert (place.width % 16, place.height % 8) == (0, 0)
        picture = truth(place, view)
        others = place.turned(view, 7)
        torch.testing.assert_close(others.world_to_cam[0], view.world_to_cam[0])
        seen, shown = place.seen_by(others, picture), room().render(others)
        inside = slice(8, -8)
        assert psnr(seen[:, inside], shown.rgb[:, inside]) > 30
    at = int(place.width * 0.5)
    step = (picture[:, 0] - picture[:, -1]).abs().mean()
    assert step < 3 * (picture[:, at] - picture[:, at - 1]).abs().mean() + 0.02, "its ends meet"


def test_only_what_is_known_whole_is_known_on_the_cylinder() -> None:
    view = camera()
    place = cylinder(view)
    known = torch.zeros(1, 54, 96, dtype=torch.bool)
    known[:, :, :48] = True
    rgb, shown, trust = place.of_views(view, torch.rand(1, 54, 96, 3), known, 0.5 * known.float())
    columns = shown.any(0).nonzero()
    assert 0 < shown.float().mean() < 0.5 * place.place.width / 6.28
    assert columns.max() < place.width // 2 <= columns.max() + 3, "the left half of what lies ahead"
    torch.testing.assert_close(trust, 0.5 * shown.float())
    assert rgb.shape == (place.height, place.width, 3)


def test_a_panorama_is_lifted_and_windows_take_from_it() -> None:
    view = camera()
    given, stub = memory(view), KnowsTheRoom(view)
    depths = RoomDepths(cylinder(view).turned(view, 8))
    around = with_panorama(given, stub, depths, "a room", 5)
    rgb, known, seed, prompt = stub.turns[0]
    assert (seed, prompt) == (5, "a room")
    assert 0.1 < known.float().mean() < 0.3
    assert psnr(rgb, truth(cylinder(view), view), known) > 25
    assert len(given.views) == 1, "the memory itself is not changed"
    behind = view.turned(160.0)
    reading, shown = around.read(behind), room().render(behind)
    assert reading.known.float().mean() > 0.8
    assert psnr(reading.rgb, shown.rgb, reading.known) > 22

    ready = PanoramaFirst(stub, lambda: depths).prepare(given, view, 5)
    assert (ready.name, ready.window_frames, ready.continuous) == ("room, panorama first", 1, False)
    film = Trajectory(Cameras.cat([view.turned(angle) for angle in (0.0, 60.0, 120.0, 180.0)]))
    state = explore(given, film, ready, depths, settings=ExploreSettings(refine_steps=2), prompt="a room")
    assert len(stub.turns) == 2, "once for this scene"
    assert state.generated_frames >= 3
    assert NOTE in state.notes
    seen = given.read(behind)
    assert psnr(seen.rgb, shown.rgb, seen.known) > 20


def test_a_preset_asks_for_it(tmp_path) -> None:
    model = tiny_models.sd_inpaint(tmp_path)
    config = Config(inpainter=InpainterConfig(model=str(model), steps=1, panorama=True))
    assert isinstance(Models(config).inpainter, PanoramaFirst)
