import json
from dataclasses import replace

import pytest
import torch
from splatmem.geometry.cameras import Cameras
from splatmem.io.transforms_json import save_transforms_json
from splatmem.memory import PlainPictures, SpatialMemory, StoredView
from splatmem.trajectory.clear_space import ClearSpace
from splatmem.trajectory.presets import SWINGS
from splatmem.trajectory.trajectory import trajectory_from


@pytest.fixture(scope="module")
def memory(room_turn: Cameras, room_frames) -> SpatialMemory:
    """The photo of a room whose far wall is 3.5 units away."""
    rgb, depth = room_frames
    made = SpatialMemory()
    made.write(rgb[0], depth[0], room_turn[0], torch.ones_like(depth[0], dtype=torch.bool))
    return made


@pytest.fixture(scope="module")
def photo(memory: SpatialMemory) -> Cameras:
    return memory.views[0].camera


def keyframes(*positions: tuple[float, float, float], **more: object) -> str:
    return json.dumps({"keyframes": [{"position": p, "look_at": [0, 0, 9]} for p in positions], **more})


@pytest.mark.parametrize("name", ["turn", "orbit", "arc", "spiral", "dolly"])
def test_presets_begin_at_the_photo_and_stay_in_free_space(memory, photo, name) -> None:
    made = trajectory_from(name, memory, 12)
    assert len(made.cameras) == 12
    assert (made.cameras.width, made.cameras.height) == (photo.width, photo.height)
    torch.testing.assert_close(made.cameras.intrinsics[0], photo.intrinsics[0])
    torch.testing.assert_close(made.cameras.world_to_cam[0], torch.eye(4))
    if name in SWINGS:  # what no picture shows is not in the way of these
        assert ClearSpace(memory).is_clear(made.cameras.centers).all()
    else:
        assert memory.is_free(made.cameras.centers).all()


def test_an_orbit_before_a_wall_swings_and_says_so(memory, photo) -> None:
    """The subject is the wall itself: nothing can go round it, but a swing shows it from far aside."""
    made = trajectory_from("orbit", memory, 12)
    assert made.cameras.centers[:, 2].max() < 3.5
    assert len(made.notes) == 1
    assert "360 degrees round the subject were asked for" in made.notes[0]
    assert made.extent is not None
    assert 110 <= made.extent.degrees <= 120.1
    assert trajectory_from("turn", memory, 12).notes == (), "a path that fits needs no note"


@pytest.mark.parametrize("name", ["turn", "orbit", "dolly"])
def test_a_preset_is_the_same_path_when_more_is_known(memory, photo, room_turn, room_frames, name) -> None:
    later = replace(memory)
    for index in (1, 2, len(room_turn) - 1):
        unknown = ~later.read(room_turn[index]).known[0]
        later.write(room_frames[0][index], room_frames[1][index], room_turn[index], unknown)
    assert len(later.views) == 4
    assert torch.equal(
        trajectory_from(name, later, 12).cameras.world_to_cam, trajectory_from(name, memory, 12).cameras.world_to_cam
    )


@pytest.fixture(scope="module")
def narrow(memory, room_turn, room_frames) -> SpatialMemory:
    """The photo's memory in which walls have been made to its right and left, at a quarter of the room's width."""
    made = replace(memory)
    for index in (6, 18):
        unknown = ~made.read(room_turn[index]).known[0]
        made.write(room_frames[0][index], 0.25 * room_frames[1][index], room_turn[index], unknown)
    return made


@pytest.mark.parametrize("name", ["orbit", "arc"])
def test_a_preset_keeps_out_of_walls_that_have_been_made(memory, narrow, name) -> None:
    wide, kept = (trajectory_from(name, narrow, 12, known_views=count).cameras.centers for count in (1, 3))
    assert torch.equal(wide, trajectory_from(name, memory, 12).cameras.centers), "laid before they were made"
    assert wide[:, 0].abs().max() > 0.75
    assert kept[:, 0].abs().max() < 0.75
    assert kept[:, 0].abs().max() > 0.1, "there is room still"


def test_what_stands_in_the_middle_is_not_in_the_way_of_a_round(memory, photo) -> None:
    """From aside, a camera on the other side is behind the subject; behind a wall it cannot stand."""
    aside = photo.moved(right=2.5, ahead=2.5).turned(-90.0)

    def is_clear(*distances: float) -> bool:
        shown = [torch.full((photo.height, photo.width), distance) for distance in distances]
        written = torch.ones(photo.height, photo.width, dtype=torch.bool)
        black = torch.zeros(photo.height, photo.width, 3, dtype=torch.uint8)
        made = [StoredView(aside, PlainPictures(black, depth, written), (0, 0)) for depth in shown]
        return bool(ClearSpace(memory, made).is_clear(torch.tensor([[-1.5, 0.0, 2.5]])))

    assert is_clear()
    assert is_clear(2.5), "the subject, between the two"
    assert not is_clear(0.5), "a wall before the subject"


def test_a_portrait_of_a_landscape_shows_its_middle(memory, photo) -> None:
    """The same way at the same places; the first frame shows nothing that lies beyond the photo."""
    portrait = (photo.height // 2, photo.height)
    made, whole = trajectory_from("arc", memory, 6, portrait), trajectory_from("arc", memory, 6)
    torch.testing.assert_close(made.cameras.world_to_cam, whole.cameras.world_to_cam)
    torch.testing.assert_close(made.cameras.focal, whole.cameras.focal)
    shown, before = memory.read(made.cameras[0]), memory.read(photo)
    left = (photo.width - portrait[0]) // 2
    inside = slice(left, left + portrait[0])
    assert shown.known.float().mean() >= before.known[:, :, inside].float().mean() - 0.01
    assert (shown.rgb - before.rgb[:, :, inside]).abs().mean() < 1e-3


def test_the_field_of_view_of_a_film(memory, photo, tmp_path) -> None:
    made = trajectory_from("turn", memory, 6, (64, 48), 35.0)
    assert made.cameras.fov_x_degrees == pytest.approx(35.0, abs=1e-3)
    (tmp_path / "keys.json").write_text(keyframes((0, 0, 0), (0, 0, 1)))
    made = trajectory_from(tmp_path / "keys.json", memory, 6, None, 35.0)
    assert made.cameras.fov_x_degrees == pytest.approx(35.0, abs=1e-3)
    save_transforms_json(Cameras.cat([photo, photo]), tmp_path / "own.json")
    made = trajectory_from(tmp_path / "own.json", memory, 6, None, 35.0)
    assert made.cameras.fov_x_degrees == pytest.approx(photo.fov_x_degrees, abs=1e-3), "the file tells its own"


def test_subject_is_what_stands_in_the_middle(memory, photo) -> None:
    """The dolly goes half the way to the wall."""
    assert trajectory_from("dolly", memory, 5).cameras.centers[-1, 2].item() == pytest.approx(1.75, rel=0.05)


class TestFiles:
    def load(self, folder, content: str, memory, photo, frames: int = 20, name: str = "p.json"):
        (folder / name).write_text(content)
        return trajectory_from(folder / name, memory, frames)

    def test_keyframes_give_the_film_s_length(self, tmp_path, memory, photo) -> None:
        made = self.load(tmp_path, keyframes((0, 0, 0), (0.3, 0, 0.2), (0, 0, 1)), memory, photo)
        assert len(made.cameras) == 20
        torch.testing.assert_close(made.cameras.centers[-1], torch.tensor([0.0, 0.0, 1.0]))
        # 20 frames were made from 3 keyframes: nothing says that the file holds 20 cameras.
        assert made.notes == ("the path file was taken as given; it makes 20 frames",)

    def test_keyframes_with_a_length_of_their_own(self, tmp_path, memory, photo) -> None:
        made = self.load(tmp_path, keyframes((0, 0, 0), (0, 0, 1), frames=7), memory, photo)
        assert len(made.cameras) == 7
        assert made.notes == ("the path file was taken as given; it makes 7 frames",)

    def test_files_of_cameras_bring_one_for_every_frame(self, tmp_path, memory, photo, room_turn) -> None:
        save_transforms_json(room_turn[[0, 1, 2]], tmp_path / "t.json")
        made = trajectory_from(str(tmp_path / "t.json"), memory, 20)
        torch.testing.assert_close(made.cameras.world_to_cam, room_turn[[0, 1, 2]].world_to_cam, atol=1e-5, rtol=0)
        assert made.notes == ("the path file was taken as given; it makes 3 frames",)

    def test_cameras_in_solid_space_are_kept_with_a_warning(self, tmp_path, memory, photo) -> None:
        content = keyframes((0, 0, 0), (0, 0, 8), frames=9)
        made = self.load(tmp_path, content, memory, photo)
        assert made.cameras.centers[-1, 2] == 8, "taken as given"
        assert len(made.notes) == 2
        blocked = int((~memory.is_free(made.cameras.centers)).sum())
        assert 4 <= blocked <= 6
        assert made.notes[1] == f"{blocked} of the 9 cameras lie inside or behind what is seen to be solid"
