"""The network that fills pictures: what it keeps, and what it makes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from splatmem import assets
from splatmem.geometry.cameras import Cameras
from splatmem.inpaint import EMBEDDED_FOLDER, PartialFrames
from splatmem.inpaint.migan.inpainter import FrameByFrame
from splatmem.inpaint.migan.network import MIGAN, STRIDE, _doubled
from splatmem.inpaint.migan.pictures import MOST_PIXELS, PictureFiller, fill_near, fill_picture, picture_filler, shown_size


@pytest.fixture(scope="module")
def fill() -> PictureFiller:
    return picture_filler(assets.path(EMBEDDED_FOLDER))


def lawn(height: int, width: int) -> torch.Tensor:
    """Blue above, green below, with some grain."""
    rgb = torch.tensor([0.35, 0.55, 0.9]).expand(height, width, 3).clone()
    rgb[height // 2 :] = torch.tensor([0.2, 0.5, 0.15])
    return (rgb + 0.03 * torch.randn(height, width, 3, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


@pytest.mark.parametrize(("height", "width"), [(90, 160), (200, 120), (33, 47)])
def test_what_is_known_comes_back_as_it_was(fill: PictureFiller, height: int, width: int) -> None:
    rgb, known = lawn(height, width), torch.zeros(height, width, dtype=torch.bool)
    known[:, : width // 2] = True
    filled = fill(rgb, known)
    assert torch.equal(filled[known], rgb[known])
    assert filled.shape == rgb.shape
    assert filled.min() >= 0
    assert filled.max() <= 1
    assert torch.equal(fill(torch.where(known[..., None], rgb, 0.7), known), filled), "the unknown does not matter"


def test_a_lawn_below_a_sky_goes_on(fill: PictureFiller) -> None:
    rgb, known = lawn(144, 256), torch.zeros(144, 256, dtype=torch.bool)
    known[:, :128] = True
    made = fill(rgb, known)[:, 150:220]
    above, below = made[:50].mean((0, 1)), made[94:].mean((0, 1))
    assert above[2] > below[2] + 0.2, "blue above"
    assert below[1] > below[2] + 0.1, "green below"


def test_pictures_where_all_or_next_to_nothing_is_known(fill: PictureFiller) -> None:
    rgb = lawn(64, 64)
    assert torch.equal(fill(rgb, torch.ones(64, 64, dtype=torch.bool)), rgb)
    one = torch.zeros(64, 64, dtype=torch.bool)
    one[3, 4] = True
    assert torch.isfinite(fill(rgb, one)).all()


def test_the_network_is_shown_multiples_of_its_stride_and_not_too_many_pixels() -> None:
    class Recorder(MIGAN):
        def forward(self, rgb: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
            self.shape, self.share = tuple(rgb.shape[-2:]), float(known.mean())
            return rgb

    network = Recorder([4])
    known = torch.ones(500, 1000, dtype=torch.bool)
    fill_picture(network, torch.rand(500, 1000, 3), known)
    assert network.shape[0] * network.shape[1] <= MOST_PIXELS
    assert network.shape[0] % STRIDE == network.shape[1] % STRIDE == 0
    fill_picture(network, torch.rand(100, 140, 3), known[:100, :140])
    assert network.shape == (128, 256)
    assert network.share == pytest.approx(100 * 140 / (128 * 256)), "margins are not known"
    fill_picture(network, torch.rand(96, 160, 3), known[:96, :160])
    assert network.shape == (96, 160), "a picture that fits gets no margins"


def test_sides_that_cannot_be_halved_all_the_way_are_filled(fill: PictureFiller) -> None:
    rgb, known = lawn(160, 224), torch.ones(160, 224, dtype=torch.bool)
    known[60:100, 100:140] = False
    filled = fill(rgb, known)
    assert torch.equal(filled[known], rgb[known])
    assert (filled - rgb)[~known].abs().mean() < 0.15


def test_doubling_is_the_binomial_filter_between_zeros() -> None:
    x, line = torch.randn(1, 3, 5, 7), torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    filters = (line[:, None] * line).expand(3, 1, 4, 4)
    torch.testing.assert_close(_doubled(x), F.conv_transpose2d(x, filters, stride=2, padding=1, groups=3))


@pytest.mark.parametrize(("height", "width"), [(461, 1024), (1024, 461), (3000, 3000), (1, 5000), (40, 30)])
def test_pictures_are_shown_as_large_as_their_margins_allow(height: int, width: int) -> None:
    size = shown_size(height, width, 131_072)
    padded = [-(-side // STRIDE) * STRIDE for side in size]
    assert padded[0] * padded[1] <= 131_072
    assert size[0] <= height
    assert size[1] <= width
    share = max(size[0] / height, size[1] / width)
    assert size == (max(1, round(share * height)), max(1, round(share * width))) or min(size) < 20, "the shape stays"
    larger = [-(-round(1.3 * share * side) // STRIDE) * STRIDE for side in (height, width)]
    assert share == 1 or min(size) < 20 or larger[0] * larger[1] > 131_072


def test_as_an_inpainter_of_the_loop_it_fills_each_frame(fill: PictureFiller) -> None:
    rgb, known = torch.stack([lawn(40, 64), lawn(40, 64).flip(1)]), torch.zeros(2, 40, 64, dtype=torch.bool)
    known[0, :, :30] = known[1, :, 20:] = True
    cameras = Cameras.from_fov(torch.eye(4).expand(2, 4, 4), 60.0, 64, 40)
    partial = PartialFrames(rgb, torch.ones(2, 40, 64), known, known.float(), cameras)
    filled = FrameByFrame(fill)(partial, generator=torch.Generator())
    assert filled.depth is None
    for frame, picture, mask in zip(filled.rgb, rgb, known, strict=True):
        assert torch.equal(frame, fill(picture, mask))


def test_only_what_lies_around_a_hole_is_shown() -> None:
    shown: list[tuple[int, ...]] = []

    def white(rgb: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        shown.append(tuple(known.shape))
        return torch.where(known[..., None], rgb, 1.0)

    rgb, known = torch.rand(288, 512, 3, generator=torch.Generator().manual_seed(0)), torch.ones(288, 512, dtype=torch.bool)
    known[200:288, 480:512] = False
    filled = fill_near(white, rgb, known, 0.4)
    assert torch.equal(filled[known], rgb[known])
    assert (filled[~known] == 1).all()
    assert shown == [(128, 128)]
    assert torch.equal(fill_near(white, rgb, torch.ones_like(known), 0.4), rgb)
    assert len(shown) == 1
