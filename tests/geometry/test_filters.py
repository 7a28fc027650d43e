import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from kornia.filters import gaussian_blur2d
from splatmem.geometry.filters import close_gaps, dilate, gaussian_blur, gaussian_kernel, remove_specks


def masks(seed: int, share: float) -> torch.Tensor:
    return torch.rand(2, 13, 17, generator=torch.Generator().manual_seed(seed)) < share


@given(st.integers(0, 10**6), st.integers(0, 20))
def test_dilation_is_the_maximum_over_a_square(seed: int, radius: int) -> None:
    mask = masks(seed, 0.05)
    expected = F.max_pool2d(mask[:, None].float(), 2 * radius + 1, 1, radius)[:, 0] > 0
    assert torch.equal(dilate(mask, radius), expected)


@given(st.integers(0, 10**6), st.integers(0, 3))
def test_closing_only_adds_and_opening_only_removes(seed: int, radius: int) -> None:
    mask = masks(seed, 0.6)
    closed, opened = close_gaps(mask, 2 * radius + 1), remove_specks(mask, radius)
    assert (closed | ~mask).all()
    assert (mask | ~opened).all()
    assert torch.equal(close_gaps(closed, 2 * radius + 1), closed)
    assert torch.equal(remove_specks(opened, radius), opened)


def test_gaps_up_to_the_width_are_closed_and_wider_ones_stay() -> None:
    mask = torch.ones(1, 9, 20, dtype=torch.bool)
    mask[:, :, 3:5] = False
    mask[:, :, 10:14] = False
    closed = close_gaps(mask, 3)
    assert closed[:, :, 3:5].all()
    assert not closed[:, :, 10:14].any()


def test_specks_go_and_wide_parts_keep_their_shape() -> None:
    mask = torch.zeros(1, 12, 20, dtype=torch.bool)
    mask[:, 2:4, 2:4] = True
    mask[:, 4:10, 8:16] = True
    expected = mask.clone()
    expected[:, 2:4, 2:4] = False
    assert torch.equal(remove_specks(mask, 1), expected)


def test_blur_is_that_of_kornia() -> None:
    image = torch.rand(20, 30, generator=torch.Generator().manual_seed(0))
    expected = gaussian_blur2d(image[None, None], (17, 17), (2.0, 2.0), border_type="replicate")[0, 0]
    torch.testing.assert_close(gaussian_blur(image[None][0], 2.0), expected)
    assert abs(gaussian_kernel(2.0, 8).sum().item() - 1) < 1e-6
