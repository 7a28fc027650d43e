"""A distance by DINOv2's tokens."""

from __future__ import annotations

import pytest
import torch
from splatmem import assets
from splatmem.depth.picture_tokens import PictureTokens
from splatmem.evaluation.tokens import TOKENS, token_distance
from splatmem.io.pictures import open_picture


@pytest.fixture(scope="module")
def describe() -> PictureTokens:
    return PictureTokens.embedded(TOKENS)


def test_the_more_a_picture_is_altered_the_farther_it_is(describe: PictureTokens) -> None:
    with open_picture(assets.path("photos/interior_table.jpg")) as picture:
        small = picture.convert("RGB").resize((168, 112))
    photo = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(1, 112, 168, 3).float() / 255
    blurred = torch.nn.functional.avg_pool2d(photo.permute(0, 3, 1, 2), 9, 1, 4).permute(0, 2, 3, 1)
    others = torch.cat([photo, 0.9 * photo, blurred, photo.mean((1, 2), keepdim=True).expand_as(photo)])
    same, darker, soft, flat = token_distance(describe(photo.expand_as(others)), describe(others)).tolist()
    assert same == pytest.approx(0, abs=1e-6)
    assert darker < soft < flat
    assert 0.5 < flat < 2
