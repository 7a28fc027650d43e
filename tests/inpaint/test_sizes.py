"""Frames on their way to a model's size and back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from splatmem.inpaint.diffusers.sizes import WorkingSize

SIDES = st.integers(20, 700)


@given(SIDES, SIDES, st.sampled_from([8, 16, 32]), st.none() | st.integers(4096, 10**6), st.none() | st.integers(4096, 10**6))
@settings(deadline=None, max_examples=200)
def test_sides_are_multiples_and_pixels_within_limits(height, width, multiple, fewest, most):
    size = WorkingSize.of(height, width, multiple, min_pixels=fewest, max_pixels=most)
    assert all(side % multiple == 0 for side in size.padded)
    assert all(0 <= padded - content < multiple for padded, content in zip(size.padded, size.content, strict=True))
    if most is not None and height * width > most:
        slack = 1.0 if min(size.padded) > multiple else 2 * multiple**2
        assert size.padded[0] * size.padded[1] <= max(most, slack * max(size.padded) * multiple)
    if fewest is None and (most is None or height * width <= most):
        assert size.content == (height, width)


def test_pixels_pass_unchanged_where_only_padding_is_needed():
    rgb = torch.rand(2, 37, 50, 3)
    size = WorkingSize.of(37, 50, 16)
    shown = size.shrink_rgb(rgb)
    assert shown.shape == (2, 48, 64, 3)
    assert torch.equal(shown[:, :37, :50], rgb)
    assert torch.equal(shown[:, 37:, :50], rgb[:, -1:].expand(-1, 11, -1, -1))
    assert torch.equal(size.enlarge_rgb(shown), rgb)


def test_a_small_pixel_is_known_only_if_all_under_it_is():
    known = torch.ones(1, 64, 64, dtype=torch.bool)
    known[0, 20, 33] = False
    small = WorkingSize.of(64, 64, 16, max_pixels=32 * 32).shrink_mask(known)
    assert small.shape == (1, 32, 32)
    assert torch.equal((~small).nonzero(), torch.tensor([[0, 10, 16]]))


@pytest.mark.parametrize("limits", [{"max_pixels": 64 * 48}, {"min_pixels": 256 * 192}])
def test_a_smooth_picture_survives_scaling(limits):
    x, y = torch.linspace(0, 1, 128), torch.linspace(0, 1, 96)
    rgb = torch.stack([x.expand(96, -1), y[:, None].expand(-1, 128), torch.full((96, 128), 0.5)], dim=-1)[None]
    size = WorkingSize.of(96, 128, 16, **limits)
    assert size.content != size.frame
    assert (size.enlarge_rgb(size.shrink_rgb(rgb)) - rgb).abs().max() < 0.02


def test_limits_that_contradict_each_other_end():
    assert WorkingSize.of(100, 100, 16, min_pixels=10**6, max_pixels=32 * 32).padded == (32, 32)
