import math

import pytest
import torch
from splatmem.depth.alignment import align

HEIGHT, WIDTH = 72, 128


def truth() -> torch.Tensor:
    """A smooth scene: a slanted, gently waving wall, 2 to 5 units away."""
    y, x = torch.meshgrid(torch.linspace(0, 1, HEIGHT), torch.linspace(0, 1, WIDTH), indexing="ij")
    return 2 + 2.5 * x + 0.3 * torch.sin(6 * y)


def left(share: float = 0.5) -> torch.Tensor:
    known = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    known[:, : round(share * WIDTH)] = True
    return known


def relative_error(depth: torch.Tensor) -> torch.Tensor:
    return (depth / truth() - 1).abs()


def outliers(share: float, seed: int = 0) -> torch.Tensor:
    return torch.rand(HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed)) < share


@pytest.mark.parametrize("scale", [0.01, 0.6, 1.0, 1.7, 40.0])
def test_scale_is_recovered(scale: float) -> None:
    aligned = align(truth() / scale, truth(), left())
    assert aligned.scale == pytest.approx(scale, rel=1e-4)
    assert relative_error(aligned.depth).max() < 1e-4


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_a_fifth_of_outliers_on_one_side_does_not_matter(factor: float) -> None:
    """Half of the outliers are strong, half subtle; all lie on the same side, so that a mean would be drawn away."""
    wrong = outliers(0.2)
    known_depth = torch.where(wrong, truth() * torch.where(outliers(0.5, 1), factor, factor**0.25), truth())
    aligned = align(truth() / 1.7, known_depth, left())
    assert aligned.scale == pytest.approx(1.7, rel=0.01)
    unknown = ~left()
    assert relative_error(aligned.depth)[unknown].median() < 0.02


def test_an_object_that_the_new_frame_does_not_show_is_an_outlier() -> None:
    """A whole region, not just noise: a fifth of the known is another surface."""
    known_depth = truth()
    known_depth[10:50, 10:34] *= 0.4
    aligned = align(truth() / 1.7, known_depth, left())
    assert aligned.scale == pytest.approx(1.7, rel=0.01)
    assert relative_error(aligned.depth)[~left()].max() < 0.02


def test_shift_is_recovered_at_the_border() -> None:
    """Depth that is right up to scale and shift: the shift's share is carried over the border by the residual."""
    predicted = (truth() - 0.6) / 1.4
    aligned = align(predicted, truth(), left())
    scaled = predicted * aligned.scale
    near = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    near[:, WIDTH // 2 : WIDTH // 2 + 12] = True
    assert relative_error(aligned.depth)[near].max() < 0.06
    assert relative_error(aligned.depth)[near].mean() < 0.4 * relative_error(scaled)[near].mean()


@pytest.mark.parametrize("side", ["left", "top", "frame", "island"])
def test_no_step_at_the_border(side: str) -> None:
    known = left()
    if side != "left":
        known = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
        inner = {
            "top": (slice(0, 30), slice(None)),
            "island": (slice(20, 50), slice(40, 90)),
            "frame": (slice(20, 50), slice(40, 90)),
        }
        known[inner[side]] = True
        known = ~known if side == "frame" else known
    y, x = torch.meshgrid(torch.linspace(0, 1, HEIGHT), torch.linspace(0, 1, WIDTH), indexing="ij")
    disagreement = (0.12 * torch.sin(5 * x) * torch.cos(4 * y)).exp()  # smooth, up to 12 %
    aligned = align(truth() * disagreement / 1.3, truth(), known)
    assert aligned.border_step < 0.01
    # Measured here, not believed: no pair of pixels across the border lies further apart than the scene's own slope allows.
    for axis in (0, 1):
        jump = aligned.depth.log().diff(dim=axis) - truth().log().diff(dim=axis)
        across = known.int().diff(dim=axis) != 0
        if across.any():
            assert jump[across].abs().max() < 0.04


def test_border_step_is_measured_honestly() -> None:
    """Rows that disagree with each other too much to be one surface stay steps, and are reported in their size."""
    known_depth = truth()
    known = left()
    strip = torch.zeros_like(known)
    strip[:, WIDTH // 2 - 10 : WIDTH // 2] = True
    rows = torch.tensor([-0.5, 0.0, 0.5]).repeat(HEIGHT // 3 + 1)[:HEIGHT, None]
    known_depth = torch.where(strip, known_depth * rows.exp(), known_depth)
    aligned = align(truth(), known_depth, known)
    assert aligned.scale == pytest.approx(1.0, rel=0.01)
    assert aligned.border_step == pytest.approx(math.expm1(0.5), rel=0.05)


def test_a_thing_that_the_new_frame_shows_farther_away_goes_on_at_its_own_depth() -> None:
    """The new frame sees the thing at 2 before a wall at 6, the memory at 1 before 6; both go on where nothing is known."""
    thing = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    thing[: HEIGHT // 2] = True
    aligned = align(torch.where(thing, 2.0, 6.0), torch.where(thing, 1.0, 6.0), left())
    beside = ~left()
    beside[:, WIDTH // 2 + 6 :] = False
    expected = torch.where(thing, 1.0, 6.0)
    assert (aligned.depth / expected)[beside].log().abs().max() < 0.1


def test_an_edge_that_the_new_frame_shows_is_no_step() -> None:
    scene = torch.where(left(), 2.0, 5.0)
    aligned = align(scene / 1.5, scene, left())
    assert aligned.border_step < 1e-4
    torch.testing.assert_close(aligned.depth, scene, rtol=1e-4, atol=0)


def test_known_depth_comes_back_bit_for_bit() -> None:
    known = outliers(0.4, 3)
    aligned = align(truth() * 2, truth(), known)
    assert torch.equal(aligned.depth[known], truth()[known])


def test_sky_says_nothing_about_scale() -> None:
    known_depth, predicted = truth(), truth() / 1.7
    known_depth[:20] = torch.inf
    predicted[10:30, 100:] = torch.inf
    aligned = align(predicted, known_depth, left())
    assert aligned.scale == pytest.approx(1.7, rel=1e-3)
    assert torch.isinf(aligned.depth[:20, :64]).all()
    assert torch.isinf(aligned.depth[10:30, 100:]).all()
    assert torch.isfinite(aligned.depth[30:]).all()
    assert math.isfinite(aligned.border_step)


def test_without_anything_to_compare_the_new_depth_is_taken() -> None:
    nothing = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    aligned = align(truth(), torch.full((HEIGHT, WIDTH), torch.inf), nothing)
    assert torch.equal(aligned.depth, truth())
    assert (aligned.scale, aligned.border_step) == (1.0, 0.0)
    sky = align(truth(), torch.full((HEIGHT, WIDTH), torch.inf), left())
    assert torch.isinf(sky.depth[left()]).all()
    assert torch.equal(sky.depth[~left()], truth()[~left()])


def test_all_known_has_no_border() -> None:
    aligned = align(truth() * 3, truth(), torch.ones(HEIGHT, WIDTH, dtype=torch.bool))
    assert torch.equal(aligned.depth, truth())
    assert aligned.border_step == 0.0
