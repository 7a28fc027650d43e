"""What is sharp before a blurred background is nearer than that."""

import pytest
import torch
from scipy import ndimage
from splatmem.depth.focus import in_focus, sharp_before_blurred
from torch import Tensor

HEIGHT, WIDTH = 180, 320


@pytest.fixture(scope="module")
def flower() -> tuple[Tensor, Tensor]:
    """A sharp reddish disc before a blurred green background, and its pixels."""
    noise = torch.rand(HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    blurred = torch.from_numpy(ndimage.gaussian_filter(noise.numpy(), 6.0))
    blurred = 0.5 + 12 * (blurred - blurred.mean())
    rows, columns = torch.meshgrid(torch.arange(HEIGHT) - 80, torch.arange(WIDTH) - 150, indexing="ij")
    disc = rows.square() + columns.square() < 50**2
    petals = 0.75 + 0.25 * ((0.8 * rows).sin() * (0.8 * columns).sin())
    rgb = torch.where(
        disc[..., None],
        petals[..., None] * torch.tensor([1.0, 0.5, 0.3]),
        blurred[..., None] * torch.tensor([0.1, 0.6, 0.6]),
    )
    return rgb.clamp(0, 1), disc


def test_a_flower_in_a_hole_of_the_background_comes_before_it(flower: tuple[Tensor, Tensor]) -> None:
    rgb, disc = flower
    depth = torch.where(disc, 3.0, 2.0)
    mended = sharp_before_blurred(depth, rgb)
    assert (mended[disc] < 1.9).float().mean() > 0.97
    assert (mended[~disc] == 2.0).float().mean() > 0.97


def test_a_flower_before_its_background_stays(flower: tuple[Tensor, Tensor]) -> None:
    rgb, disc = flower
    depth = torch.where(disc, 1.0, 2.0)
    assert torch.equal(sharp_before_blurred(depth, rgb), depth)


def test_a_picture_on_a_plain_wall_is_not_before_blur(flower: tuple[Tensor, Tensor]) -> None:
    rgb, disc = flower
    assert in_focus(torch.where(disc[..., None], rgb, torch.tensor([0.9, 0.9, 0.85]))) is None


def test_a_band_in_focus_is_a_part_of_its_surface(flower: tuple[Tensor, Tensor]) -> None:
    sharp = flower[0][30:130, 100:200].repeat(2, 4, 1)[:HEIGHT, :WIDTH]
    blurred = torch.from_numpy(ndimage.gaussian_filter(sharp.numpy(), (4, 4, 0)))
    blurred = blurred.mean((0, 1)) + 4 * (blurred - blurred.mean((0, 1)))
    rgb = blurred.clone()
    rgb[60:120] = sharp[60:120]
    assert in_focus(rgb.clamp(0, 1)) is None
