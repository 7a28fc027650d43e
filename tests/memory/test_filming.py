import pytest
import torch
from splatmem.geometry.push_pull import fill_gaps, push_pull
from splatmem.io.video import read_video
from splatmem.memory import SpatialMemory
from splatmem.memory.film import film_memory
from splatmem.memory.visibility import _shown_by_torch, shown_colours
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
        expected = memory.film(room_turn[index])[0][0]
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


def half_known(alpha: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A picture over black whose left third is one colour with full opacity, its neighbour column half as bright and of some
    opacity, and the rest something that is not known."""
    rgb = torch.full((1, 40, 60, 3), 0.9)
    rgb[:, :, :20] = COLOUR
    rgb[:, :, 20] = 0.5 * COLOUR
    opacity = torch.ones(1, 40, 60)
    opacity[:, :, 20] = alpha
    known = torch.zeros(1, 40, 60, dtype=torch.bool)
    known[:, :, :21] = True
    return rgb, opacity, known


COLOUR = torch.tensor([0.8, 0.4, 0.2])


def test_unknown_pixels_take_their_surroundings_colours() -> None:
    rgb, alpha, known = half_known(0.5)
    frames = shown_colours(rgb, alpha, known)
    assert torch.equal(frames[:, :, :20], rgb[:, :, :20])
    torch.testing.assert_close(frames[~known], COLOUR.expand(int((~known).sum()), 3))


@pytest.mark.parametrize("alpha", [0.5, 0.7, 0.9])
def test_what_is_covered_in_part_is_composited_over_its_surroundings(alpha: float) -> None:
    rgb, opacity, known = half_known(alpha)
    expected = 0.5 * COLOUR + (1 - alpha) * COLOUR  # not divided by alpha
    torch.testing.assert_close(shown_colours(rgb, opacity, known)[0, :, 20], expected.expand(40, 3))


def test_covered_pixels_are_composited_plainly() -> None:
    rgb = torch.rand(2, 20, 30, 3, generator=torch.Generator().manual_seed(0))
    full, known = torch.ones(2, 20, 30), torch.ones(2, 20, 30, dtype=torch.bool)
    assert torch.equal(shown_colours(rgb, full, known), rgb)
    difference = shown_colours(0.99 * rgb, 0.99 * full, known) - 0.99 * rgb
    assert 0 <= difference.min() <= difference.max() <= 0.01


def test_a_frame_of_which_nothing_is_known_is_black_and_not_nan() -> None:
    nothing = torch.zeros(1, 40, 60, dtype=torch.bool)
    shown = shown_colours(torch.rand(1, 40, 60, 3), torch.rand(1, 40, 60), nothing)
    assert torch.equal(shown, torch.zeros(1, 40, 60, 3))


@pytest.mark.parametrize("size", [(40, 60), (41, 59), (1, 7)])
def test_gaps_are_filled_as_push_pull_does(size) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(3, 3, *size, generator=generator)
    known = torch.rand(3, *size, generator=generator) < 0.8
    known[0] = True
    known[1, :, : size[1] // 2] = False
    expected = push_pull(values, known[:, None].float())
    torch.testing.assert_close(fill_gaps(values, known), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(48, 64), (45, 61), (1, 9), (1, 1)])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.6, 1.0])
def test_the_kernel_shows_what_torch_shows(size: tuple[int, int], share: float) -> None:
    generator = torch.Generator().manual_seed(5)
    rgb = torch.rand(2, *size, 3, generator=generator)
    alpha = torch.rand(2, *size, generator=generator).mul(0.1).add(0.9)
    known = torch.rand(2, *size, generator=generator) < share
    torch.testing.assert_close(shown_colours(rgb, alpha, known), _shown_by_torch(rgb, alpha, known), rtol=0, atol=2e-6)
