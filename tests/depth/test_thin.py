import numpy as np
import pytest
import torch
from jaxtyping import Float
from scipy import ndimage
from splatmem.depth import thin
from splatmem.depth.thin import thin_in_the_sky, with_thin_things
from torch import Tensor

HEIGHT, WIDTH = 108, 192
HORIZON = 80


@pytest.fixture
def coast() -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
    """A sky that is paler below, over ground that comes nearer: colours and depth."""
    down = torch.linspace(0, 1, HEIGHT)[:, None, None]
    sky = torch.lerp(torch.tensor([0.3, 0.5, 0.9]), torch.tensor([0.7, 0.8, 0.95]), down.expand(HEIGHT, WIDTH, 3))
    rgb = torch.where(torch.arange(HEIGHT)[:, None, None] < HORIZON, sky, torch.tensor([0.6, 0.55, 0.4]))
    rows = torch.arange(HEIGHT)[:, None].expand(HEIGHT, WIDTH)
    return rgb, torch.where(rows < HORIZON, torch.inf, 300.0 / (rows - HORIZON + 6.0))


def test_a_cable_that_is_seen_in_part_is_whole(coast: tuple[Tensor, Tensor]) -> None:
    rgb, depth = coast
    columns = torch.arange(WIDTH)
    rows = (10 + 0.35 * columns).long()
    cable = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    for thick in range(3):
        cable[rows + thick, columns] = True
    rgb[cable] = 0.1
    # The model saw its middle, as broad as its patches.
    for column in range(80, 120):
        depth[int(rows[column]) - 4 : int(rows[column]) + 7, column] = 4.0
    whole, thin = with_thin_things(depth, rgb)
    assert thin[cable].float().mean() > 0.95
    assert (thin & ~cable).float().mean() < 0.01
    assert torch.allclose(whole[thin], torch.tensor(4.0))
    assert torch.isinf(whole[:HORIZON][~thin[:HORIZON]]).all()
    assert torch.equal(whole[HORIZON:], depth[HORIZON:])


def test_a_mast_stands_before_the_sky_and_on_the_ground(coast: tuple[Tensor, Tensor]) -> None:
    rgb, depth = coast
    mast, seen = (slice(20, 95), slice(90, 94)), (slice(50, 95), slice(86, 98))
    ground = depth.clone()
    rgb[mast], depth[seen] = 0.05, 15.0
    whole, thin = with_thin_things(depth, rgb)
    assert thin[20:88, 90:94].all()
    assert torch.allclose(whole[20:88, 90:94], torch.tensor(15.0))
    beside = ~thin
    assert torch.equal(torch.isinf(whole[beside]), torch.isinf(ground[beside]))
    near_ground = beside & torch.isfinite(ground)
    assert ((whole / ground)[near_ground].log().abs() > 0.1).float().mean() < 0.03


def test_a_far_shore_below_the_sky_is_no_part_of_a_mast_before_it(coast: tuple[Tensor, Tensor]) -> None:
    rgb, depth = coast
    rgb[HORIZON - 4 : HORIZON] = 0.3
    rgb[20:95, 90:94], depth[50:95, 86:98] = 0.05, 15.0
    whole, thin = with_thin_things(depth, rgb)
    assert thin[20:76, 90:94].all()
    assert not thin[:, :80].any()
    assert not thin[:, 104:].any()
    assert torch.equal(whole[:, :80], depth[:, :80])


def test_what_is_seen_as_sky_alone_stays_there_and_is_told(coast: tuple[Tensor, Tensor]) -> None:
    rgb, depth = coast
    rgb[30:32] = 0.1
    whole, thin = with_thin_things(depth, rgb)
    assert torch.equal(whole, depth)
    assert not thin.any()
    assert thin_in_the_sky(depth, rgb)[30:32].all()
    assert thin_in_the_sky(depth, rgb).sum() == 2 * WIDTH


def test_broad_things_rooms_and_clear_skies_stay_as_they_are(coast: tuple[Tensor, Tensor]) -> None:
    rgb, depth = coast
    assert torch.equal(with_thin_things(depth, rgb)[0], depth)
    house = slice(40, 90), slice(60, 120)
    rgb[house], depth[house] = 0.2, 10.0
    assert torch.equal(with_thin_things(depth, rgb)[0], depth)
    window = torch.full_like(depth, 3.0)
    window[20:60, 40:150] = torch.inf
    rgb[20:60, 90:93] = 0.1
    assert torch.equal(with_thin_things(window, rgb)[0], window)
    assert not thin_in_the_sky(window, rgb).any()


def test_large_pictures_cost_no_larger_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pixel's median is over all around it: at the full size a picture of 1280 pixels took a quarter of a minute."""
    looked_at = []

    def median(values: np.ndarray, size: int) -> np.ndarray:
        looked_at.append(values.size * size**2)
        return values

    monkeypatch.setattr(thin, "_medians", median)
    sky = torch.full((720, 1280), torch.inf)
    sky[-1] = 1.0
    with_thin_things(sky, torch.rand(720, 1280, 3))
    assert looked_at
    assert max(looked_at) < 2**23


@pytest.mark.parametrize("size", [1, 3, 9])
def test_medians_are_those_of_scipy(size: int) -> None:
    image = np.random.default_rng(0).random((12, 17), np.float32)
    np.testing.assert_array_equal(thin._medians(image, size), ndimage.median_filter(image, size))
