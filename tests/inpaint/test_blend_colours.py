"""What is made takes the colours of what is known beside it."""

from __future__ import annotations

import torch
from splatmem.inpaint.blending import blend_colours


def test_the_half_covered_edge_of_what_is_known_says_nothing() -> None:
    """A dark edge, one pixel wide, leaves no dark strip beside it."""
    known = torch.zeros(32, 64, dtype=torch.bool)
    known[:, :32] = True
    shown = torch.full((32, 64, 3), 0.6)
    shown[:, 31] = 0.2
    blended = blend_colours(torch.full((32, 64, 3), 0.5), shown, known)
    assert float(blended[:, 32:36].min()) > 0.5
    assert float((blended[:, 60:] - 0.5).abs().max()) < 0.01
