import pytest
import torch
from splatmem.depth import DepthPrediction
from splatmem.evaluation.film import ScaledToTruth, TrueDepth, begin, film_of_photo, film_with_memory, film_without_memory
from splatmem.evaluation.scenes import Scene, Truth
from splatmem.explore.loop import ExploreSettings
from splatmem.inpaint import FilledFrames, PartialFrames
from splatmem.inpaint.protocol import keep_known
from splatmem.metrics import psnr

from scene_folders import closed_turn
from textured_room import room

SETTINGS = ExploreSettings(photo_refine_steps=8, refine_steps=2)
FRAMES = 17


class KnowingInpainter:
    """Fills with the true room, darkened a little more at every window, and keeps what it was given."""

    name, window_frames, reference_views = "knowing", 2, 1

    def __init__(self, darker: float = 0.0) -> None:
        self.darker, self.given = darker, list[PartialFrames]()

    def __call__(self, partial, *, generator, prompt="", reference=None) -> FilledFrames:
        self.given.append(partial)
        seen = room().render(partial.cameras)
        return FilledFrames(keep_known(partial, seen.rgb - self.darker * len(self.given)), seen.depth)


class Estimate:
    """A depth estimator that gives one map."""

    name = "estimate"

    def __init__(self, depth: torch.Tensor) -> None:
        self.depth = depth

    def __call__(self, images, *, fov_x_degrees=None) -> DepthPrediction:
        return DepthPrediction(self.depth.expand(len(images), -1, -1), metric=False)


@pytest.fixture(scope="module")
def scene():
    cameras = closed_turn(FRAMES, 80, 44, sway=0.2)
    seen = room().render(cameras)
    measured = torch.ones(seen.depth.shape, dtype=torch.bool)
    truth = Truth(cameras, seen.rgb, seen.depth, measured)
    return Scene("box", seen.rgb[0], cameras, seen.depth[0], measured[0], truth)


@pytest.fixture(scope="module")
def estimate(scene):
    return Estimate(scene.photo_depth)


@pytest.fixture(scope="module")
def begun(scene, estimate):
    return begin(scene, ScaledToTruth(estimate, scene), SETTINGS)


def test_the_memory_takes_the_scale_of_the_cameras(scene):
    wild = 0.25 * scene.photo_depth
    wild[:10] = torch.inf
    depth = ScaledToTruth(Estimate(wild), scene)(scene.photo[None]).depth[0]
    torch.testing.assert_close(depth[10:], scene.photo_depth[10:])
    blind = Scene(scene.name, scene.photo, scene.path, scene.photo_depth, ~scene.photo_measured, scene.truth)
    assert torch.equal(ScaledToTruth(Estimate(wild), blind)(scene.photo[None]).depth[0], wild)


def test_true_depth_is_completed_by_the_estimate(scene):
    measured = scene.photo_measured.clone()
    measured[:, :40] = False
    known = torch.where(measured, scene.photo_depth, torch.inf)
    part = Scene(scene.name, scene.photo, scene.path, known, measured, scene.truth)
    depth = TrueDepth(Estimate(3 * scene.photo_depth), part)(scene.photo[None]).depth[0]
    assert torch.equal(depth[measured], scene.photo_depth[measured])
    torch.testing.assert_close(depth, scene.photo_depth, rtol=1e-3, atol=0)


def test_with_a_memory_the_film_is_whole_and_closes(scene, begun, estimate):
    inpainter = KnowingInpainter()
    film = film_with_memory(begun, scene.path, inpainter, estimate, 0, SETTINGS)
    assert film.rgb.shape == (FRAMES, 44, 80, 3)
    assert film.known.float().mean() > 0.97
    assert torch.isinf(film.depth[~film.known]).all()
    assert film.generated_frames == sum(len(given) for given in inpainter.given) < FRAMES - 1
    assert psnr(film.rgb[-1], scene.truth.rgb[0]) > 28
    assert psnr(film.rgb, scene.truth.rgb) > 24
    assert film.memory is not None
    assert film.gaussians == len(film.memory.gaussians) > len(begun.memory.gaussians)
    assert film.seconds["total"] > begun.seconds["total"]
    # What was begun is as it was: the next method starts from the same.
    assert len(begun.memory.views) == 1


def test_without_memory_every_frame_is_made_from_the_last_ones_alone(scene, begun, estimate):
    inpainter = KnowingInpainter()
    film = film_without_memory(begun, scene.path, inpainter, estimate, 0, SETTINGS)
    made = torch.cat([given.cameras.world_to_cam for given in inpainter.given])
    assert torch.equal(made, scene.path.world_to_cam[1:])
    assert film.generated_frames == FRAMES - 1
    assert film.memory is None
    assert film.known.all()
    # The last camera is the first: the memory would know it all, the last frames know only what they show.
    known = [given.known.flatten(1).float().mean(1) for given in inpainter.given]
    assert known[0][0] > 0.5
    assert 0.1 < known[-1][-1] < 0.7


def test_the_photo_alone_makes_nothing(scene, begun, estimate):
    film = film_of_photo(begun, scene.path, None, estimate, 0, SETTINGS)
    assert film.generated_frames == 0
    assert film.gaussians == len(begun.memory.gaussians)
    assert film.known[0].float().mean() > 0.97
    assert film.known[FRAMES // 2].float().mean() < 0.1
    assert psnr(film.rgb[0], scene.photo) > 28


def test_errors_add_up_without_memory_only(scene, begun, estimate):
    films = [
        make(begun, scene.path, KnowingInpainter(darker=0.05), estimate, 0, SETTINGS)
        for make in (film_with_memory, film_without_memory)
    ]
    with_memory, without = (psnr(film.rgb[-1], scene.truth.rgb[0]) for film in films)
    assert with_memory > without + 10


def test_the_same_seed_makes_the_same_film(scene, begun, estimate):
    def again():
        return film_without_memory(begun, scene.path[[0, 1, 2, 3, 4]], KnowingInpainter(), estimate, 7, SETTINGS).rgb

    assert torch.equal(again(), again())
