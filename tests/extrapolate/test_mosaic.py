import torch
from splatmem.extrapolate.mosaic import joined, with_halves
from splatmem.extrapolate.unrolled import Unrolled
from splatmem.extrapolate.walk import Stretch

HEIGHT, WIDTH = 30, 80


def unrolled(rgb: torch.Tensor) -> Unrolled:
    no = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    return Unrolled(rgb, torch.zeros(HEIGHT, WIDTH), no, torch.zeros(HEIGHT, WIDTH), no, no, ~no)


def test_the_view_stays_as_it_is_and_the_stretches_follow_it() -> None:
    picture = unrolled(torch.rand(HEIGHT, WIDTH, 3))
    stretches = [Stretch(0.25, 0.5, 1), Stretch(0.75, 0.75, -1), Stretch(0.0, 0.75, 1)]
    whole = joined(picture, stretches, 3 * WIDTH)
    assert whole.rgb.shape == (HEIGHT, 3 * WIDTH, 3)
    assert torch.equal(whole.rgb[:, :WIDTH], picture.rgb)
    # Inside of a stretch its columns are the view's, but for the light that is evened out between neighbours.
    forwards, backwards = whole.rgb[:, WIDTH + 15 : WIDTH + 25], whole.rgb[:, WIDTH + 60 : WIDTH + 80]
    assert (forwards - picture.rgb[:, 35:45]).abs().mean() < 0.02
    assert (backwards - picture.rgb[:, 20:40].flip(1)).abs().mean() < 0.02


def test_a_small_difference_of_light_is_no_step() -> None:
    rising = torch.linspace(0.4, 0.5, WIDTH)[None, :, None].expand(HEIGHT, WIDTH, 3).contiguous()
    whole = joined(unrolled(rising), [Stretch(0.0, 1.0, 1), Stretch(0.0, 1.0, 1)], 3 * WIDTH)
    steps = (whole.rgb - whole.rgb.roll(1, 1)).abs()
    assert steps.max() < 0.02


def test_a_joint_is_cut_where_both_sides_are_alike() -> None:
    picture = torch.full((HEIGHT, WIDTH, 3), 0.5)
    picture[:, ::9] = 0.9  # posts
    whole = joined(unrolled(picture), [Stretch(9 / WIDTH, 1 - 9 / WIDTH, 1), Stretch(9 / WIDTH, 1 - 9 / WIDTH, 1)], 222)
    values = whole.rgb[HEIGHT // 2, :, 0]
    assert ((values < 0.55) | (values > 0.8)).float().mean() > 0.9


def test_what_a_side_cuts_gets_its_other_half_beside_the_view_and_nowhere_else() -> None:
    view = unrolled(torch.zeros(HEIGHT, WIDTH, 3))
    view.rgb[:, 70:] = 1.0
    cut = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    cut[:, 70:] = True
    turn = joined(unrolled(torch.zeros(HEIGHT, WIDTH, 3)), [Stretch(0.0, 2.0, 1)], 3 * WIDTH)
    whole = with_halves(turn, view, cut)
    assert (whole.rgb[:, WIDTH : WIDTH + 10] == 1.0).all()
    assert whole.rgb.sum() == 3 * HEIGHT * 10
    assert torch.equal(with_halves(turn, view, torch.zeros_like(cut)).rgb, turn.rgb)
