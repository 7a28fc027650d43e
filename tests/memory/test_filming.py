import pytest
import torch
from splatmem.geometry.push_pull import fill_gaps, push_pull
from splatmem.io.video import read_video
from splatmem.memory import SpatialMemory
from splatmem.memory.film import film_memory, shown
from splatmem.timing import StageClock

FRAMES = 11  # more than one batch, and not a whole number of them


@pytest.fixture(scope="module")
def memory(room_turn, room_frames) -> SpatialMemory:
    rgb, depth = room_frames
    made = SpatialMemory()
    made.write(rgb[0], depth[0], room_turn[0], torch.ones_like(depth[0], dtype=torch.bool))
    return made


@pytest.fixture(scope="module")
def filmed(memory, room_turn, tmp_path_factory):
    file = tmp_path_factory.mktemp("film") / "v.mp4"
    told: list[tuple[str, float]] = []
    clock = StageClock()
    figures = film_memory(memory, room_turn[list(range(FRAMES))], file, 24, clock, lambda *what: told.append(what))
    return file, figures, told, clock


def test_every_camera_gives_one_frame_that_shows_the_memory(filmed, memory, room_turn) -> None:
    film = torch.from_numpy(read_video(filmed[0])).float() / 255
    assert film.shape == (FRAMES, 72, 128, 3)
    for index in (0, 3, FRAMES - 1):
        expected = shown(*memory.film(room_turn[index]))[0]
        assert (film[index] - expected).abs().mean() < 0.02, f"frame {index}"


def test_unknown_share_is_that_of_the_readings(filmed, memory, room_turn) -> None:
    shares = [(~memory.read(room_turn[index]).known).float().mean().item() for index in range(FRAMES)]
    figures = filmed[1]
    assert figures.unknown_fraction == pytest.approx(sum(shares) / FRAMES, abs=1e-6)
    frame, share = figures.worst_frame
    assert share == pytest.approx(max(shares), abs=1e-6)
    assert shares[frame] == pytest.approx(share, abs=1e-6)
    assert 0.4 < figures.unknown_fraction < 0.98, "the path must leave the photo for this to mean something"


def test_progress_reaches_its_end_once(filmed) -> None:
    _, _, told, clock = filmed
    shares = [share for stage, share in told if stage == "filming"]
    assert len(shares) == len(told)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert shares.count(1.0) == 1
    assert set(clock.seconds) == {"render", "encode"}


def test_a_failure_leaves_no_file(memory, room_turn, tmp_path) -> None:
    def stop(stage: str, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film_memory(memory, room_turn, tmp_path / "v.mp4", 24, StageClock(), stop)
    assert list(tmp_path.iterdir()) == []


def test_unknown_pixels_take_their_surroundings_colours() -> None:
    rgb = torch.zeros(1, 40, 60, 3)
    rgb[:, :, :20] = torch.tensor([0.8, 0.4, 0.2])
    known = torch.zeros(1, 40, 60, dtype=torch.bool)
    known[:, :, :20] = True
    frames = shown(rgb, known)
    assert torch.equal(frames[known], rgb[known])
    torch.testing.assert_close(frames[~known], torch.tensor([0.8, 0.4, 0.2]).expand(int((~known).sum()), 3))


def test_a_frame_of_which_nothing_is_known_is_black_and_not_nan() -> None:
    nothing = torch.zeros(1, 40, 60, dtype=torch.bool)
    assert torch.equal(shown(torch.rand(1, 40, 60, 3), nothing), torch.zeros(1, 40, 60, 3))


@pytest.mark.parametrize("size", [(40, 60), (41, 59), (1, 7)])
def test_gaps_are_filled_as_push_pull_does(size) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(3, 3, *size, generator=generator)
    known = torch.rand(3, *size, generator=generator) < 0.8
    known[0] = True
    known[1, :, : size[1] // 2] = False
    expected = push_pull(values, known[:, None].float())
    torch.testing.assert_close(fill_gaps(values, known), expected, atol=1e-5, rtol=0)
