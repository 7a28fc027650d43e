import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from splatmem.geometry.distance import MOST_EXACT, distance_inside, thickness


@given(st.integers(0, 10**6), st.sampled_from([0.02, 0.5, 0.98]))
def test_distances_are_those_to_the_nearest_pixel_outside(seed: int, share: float) -> None:
    mask = torch.rand(23, 37, generator=torch.Generator().manual_seed(seed)) < share
    mask[11, 18] = False
    places = torch.nonzero(torch.ones_like(mask)).float()
    expected = torch.cdist(places, torch.nonzero(~mask).float()).amin(dim=1).view(mask.shape)
    torch.testing.assert_close(distance_inside(mask), expected, atol=1e-3, rtol=0)


def test_where_nothing_is_outside_it_is_infinite() -> None:
    assert distance_inside(torch.ones(5, 7, dtype=torch.bool)).isinf().all()


@pytest.mark.parametrize(("height", "width"), [(MOST_EXACT, MOST_EXACT), (3, MOST_EXACT + 500)])
def test_the_longest_distances_are_exact_to_the_last_digit(height: int, width: int) -> None:
    mask = torch.ones(height, width, dtype=torch.bool)
    mask[0, 0] = False
    assert np.array_equal(distance_inside(mask).numpy(), distance_transform_edt(mask.numpy()).astype(np.float32))


def test_the_same_mask_elsewhere_in_memory_has_the_same_distances() -> None:
    mask = torch.rand(200, 301, generator=torch.Generator().manual_seed(3)) < 0.99
    expected = distance_inside(mask)
    for shift in range(1, 5):
        moved = torch.zeros(200 * 301 + shift, dtype=torch.bool)[shift:].view(200, 301)
        moved[:] = mask
        assert torch.equal(distance_inside(moved), expected)


def test_a_mask_is_as_thick_as_its_largest_disc_within_the_picture() -> None:
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[4:11, 2:28] = True
    assert thickness(mask) == 8
    assert thickness(torch.ones(9, 30, dtype=torch.bool)) == 10
