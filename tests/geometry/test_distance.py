import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from splatmem.geometry.distance import distance_inside


@given(st.integers(0, 10**6), st.sampled_from([0.02, 0.5, 0.98]))
def test_distances_are_those_to_the_nearest_pixel_outside(seed: int, share: float) -> None:
    mask = torch.rand(23, 37, generator=torch.Generator().manual_seed(seed)) < share
    mask[11, 18] = False
    expected = torch.from_numpy(np.asarray(distance_transform_edt(mask.numpy()))).float()
    torch.testing.assert_close(distance_inside(mask), expected)


def test_where_nothing_is_outside_it_is_beyond_all_measure() -> None:
    assert distance_inside(torch.ones(5, 7, dtype=torch.bool)).min() > 1e6
