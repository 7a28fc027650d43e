import pytest
import torch
from splatmem.inpaint.texture_synthesis import Exemplars, continue_panorama, copy_pixels

HEIGHT, WIDTH = 32, 192


def bands() -> torch.Tensor:
    """Rows of three colours, with a dark post every 24 columns."""
    picture = torch.zeros(4, HEIGHT, WIDTH)
    picture[0, :12], picture[1, 12:24], picture[2, 24:] = 0.8, 0.7, 0.6
    picture[:, :, ::24] = 0.1
    picture[:, :, 1::24] = 0.1
    return picture


def exemplars(picture: torch.Tensor, known: torch.Tensor, **changes) -> Exemplars:
    nothing = torch.zeros(HEIGHT, WIDTH)
    values = {"foreground": nothing, "avoid": nothing > 0, "elevation": torch.linspace(-0.3, 0.3, HEIGHT)} | changes
    return Exemplars(picture=picture, known=known, **values)


@pytest.fixture(scope="module")
def third() -> torch.Tensor:
    known = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    known[:, 64:128] = True
    return known


def made(picture, example, seed=0):
    source = continue_panorama(example, torch.Generator().manual_seed(seed))
    return source, copy_pixels(picture, example.known, source)[0]


def test_every_pixel_points_to_a_known_one_and_known_ones_to_themselves(third):
    source, _ = made(bands(), exemplars(bands(), third))
    assert third.flatten()[source].all()
    assert torch.equal(source[third], torch.arange(HEIGHT * WIDTH).view(HEIGHT, WIDTH)[third])


def test_a_regular_picture_goes_on_regularly(third):
    picture = bands()
    _, panorama = made(picture, exemplars(torch.where(third, picture, 0.0), third))
    rows = panorama.median(dim=2).values
    assert (rows - picture.median(dim=2).values).abs().max() < 0.1  # bands stay at their height
    assert panorama[:, :, :64].amin(1).amin(0).lt(0.3).any()  # posts go on, and stay dark
    assert panorama.std() > 0.8 * picture.std()


def test_seeds_differ_and_repeat(third):
    noise = torch.rand(4, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(5))
    example = exemplars(noise, third)
    first, again, other = (made(noise, example, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_right_end_continues_on_the_left(third):
    across = torch.linspace(0, 6 * torch.pi, WIDTH).sin()
    picture = 0.5 + 0.4 * across.expand(4, HEIGHT, WIDTH)
    _, panorama = made(picture, exemplars(picture, third))
    steps = panorama.diff(dim=2).abs().mean((0, 1))
    seam = (panorama[:, :, 0] - panorama[:, :, -1]).abs().mean()
    assert seam <= max(0.05, steps.max().item())


def test_foreground_is_made_anew_without_foreground(third):
    picture = bands()
    picture[:, :, 100:112] = 0.95  # a thing in front
    thing = torch.zeros(HEIGHT, WIDTH)
    thing[:, 100:112] = 1.0
    known = third.clone()
    known[:, :64] = True
    source, panorama = made(picture, exemplars(picture, known, foreground=thing, avoid=thing > 0))
    assert (thing.flatten()[source][:, 100:112] == 0).float().mean() > 0.9
    assert (panorama[:, :, 102:110] - 0.95).abs().median() > 0.2


def test_where_nothing_is_known_pixels_point_to_themselves():
    nothing = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    source = continue_panorama(exemplars(bands(), nothing), torch.Generator())
    assert torch.equal(source.flatten(), torch.arange(HEIGHT * WIDTH))


def test_copies_are_sharp_at_a_larger_size(third):
    large = torch.kron(bands(), torch.ones(1, 2, 2)) + 0.1 * (torch.arange(2 * WIDTH) % 2)
    source, _ = made(bands(), exemplars(bands(), third))
    panorama, found = copy_pixels(large, torch.kron(third.float(), torch.ones(2, 2)) > 0, source)
    assert found.float().mean() > 0.95
    stripes = (panorama[0, 4, 1::2] - panorama[0, 4, 0::2]).abs()
    assert stripes.median() == pytest.approx(0.1, abs=0.03)
