import torch
from hypothesis import given
from hypothesis import strategies as st
from splatmem.geometry.distance import distance_inside


@given(st.integers(0, 10**6), st.sampled_from([0.02, 0.5, 0.98]))
def test_distances_are_those_to_the_nearest_pixel_outside(seed: int, share: float) -> None:
    mask = torch.rand(23, 37, generator=torch.Generator().manual_seed(seed)) < share
    mask[11, 18] = False
    places = torch.nonzero(torch.ones_like(mask)).float()
    expected = torch.cdist(places, torch.nonzero(~mask).float()).amin(dim=1).view(mask.shape)
    torch.testing.assert_close(distance_inside(mask), expected, atol=1e-3, rtol=0)


def test_where_nothing_is_outside_it_is_infinite() -> None:
    assert distance_inside(torch.ones(5, 7, dtype=torch.bool)).isinf().all()
