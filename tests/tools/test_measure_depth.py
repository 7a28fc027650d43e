import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from measure_depth import HOLES, close, fitted


def test_each_hole_hides_a_part() -> None:
    depth = torch.full((36, 64), 4.0)
    depth[10:30, 20:30] = 2.0
    hidden = {name: hole(depth) for name, hole in HOLES.items()}
    assert all(h.shape == depth.shape and 0 < h.float().mean() < 0.7 for h in hidden.values())
    behind = hidden["behind things"]
    assert behind[20, 30:34].all()
    assert not behind[20, 20:28].any()
    assert not behind[5].any()


def test_ways_to_close_a_hole() -> None:
    """A wall that recedes to the right, estimated at half its depth and a little too flat."""
    truth = torch.linspace(2, 4, 64).expand(36, 64)
    known = torch.arange(64).expand(36, 64) < 40
    closed = close(0.5 * truth**0.9, truth, known)
    error = {name: (depth / truth).log().abs()[~known].mean() for name, depth in closed.items()}
    assert error["agreement"] < error["scaled estimate"] < error["nearest smear"]
    assert torch.equal(closed["agreement"][known], truth[known])


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_the_best_factor_and_shift_are_found(shift) -> None:
    truth = torch.linspace(1, 5, 50)
    estimate = (truth - shift) / 1.6
    assert torch.allclose(fitted(estimate, truth, shift=True), truth, atol=1e-4)
    by_factor = (fitted(estimate, truth, shift=False) / truth - 1).abs().mean()
    assert by_factor < 1e-4 if shift == 0 else by_factor > 0.05
