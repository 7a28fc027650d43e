from __future__ import annotations

import pytest
import torch
from splatmem.geometry.push_pull import _halved, fill_gaps, push_pull


@pytest.mark.parametrize("size", [(6, 8), (5, 8), (6, 7), (1, 1)])
def test_halves_are_means_of_cells(size: tuple[int, int]) -> None:
    maps = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    pooled = torch.nn.functional.avg_pool2d(maps, 2, ceil_mode=True, count_include_pad=False)
    torch.testing.assert_close(_halved(maps), pooled)
    turned = maps.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    torch.testing.assert_close(_halved(turned), pooled)


def test_few_gaps_are_filled_as_by_push_pull() -> None:
    random = torch.Generator().manual_seed(0)
    values, known = torch.rand(2, 3, 24, 30, generator=random), torch.rand(2, 24, 30, generator=random) > 0.1
    torch.testing.assert_close(fill_gaps(values, known), push_pull(values, known[:, None].float()), rtol=1e-4, atol=1e-5)
