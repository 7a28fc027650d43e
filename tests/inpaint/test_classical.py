import sys

import pytest
import torch
from splatmem.inpaint import PartialFrames, load_inpainter
from splatmem.inpaint.classical import CLASSICAL_NAMES

from textured_room import room, turn


@pytest.fixture(scope="module")
def partial():
    """Two frames of the room: the right half of one is unknown, and all of the other."""
    cameras = turn(8, 64, 36)[[0, 1]]
    seen = room().render(cameras)
    known = torch.zeros(seen.depth.shape, dtype=torch.bool)
    known[0, :, :32] = True
    rgb = torch.where(known[..., None], seen.rgb, 0.0)
    return PartialFrames(rgb, seen.depth, known, known.float(), cameras)


def fill(name: str, partial: PartialFrames):
    if name == "patchmatch":
        pytest.importorskip("patchmatch", reason="needs PyPatchMatch, of the extra 'evaluate'")
    return load_inpainter(name)(partial, generator=torch.Generator())


@pytest.mark.parametrize("name", CLASSICAL_NAMES)
def test_known_pixels_stay_and_the_rest_is_filled_from_them(partial, name):
    filled = fill(name, partial)
    assert torch.equal(filled.rgb[partial.known], partial.rgb[partial.known])
    low, high = partial.rgb[partial.known].amin(0), partial.rgb[partial.known].amax(0)
    made = filled.rgb[0, :, 32:]
    assert ((made > low - 0.02) & (made < high + 0.02)).float().mean() > 0.99
    # Where nothing is known at all, the frame is plain grey.
    assert (filled.rgb[1] == 0.5).all()
    assert torch.equal(filled.rgb, fill(name, partial).rgb)


@pytest.mark.parametrize("name", CLASSICAL_NAMES)
def test_depth_is_left_to_the_estimator(partial, name):
    assert fill(name, partial).depth is None


def test_smear_takes_the_nearest_colour(partial):
    filled = fill("smear", partial).rgb[0]
    assert torch.equal(filled[:, 32:], partial.rgb[0, :, 31:32].expand(-1, 32, -1))


def test_patchmatch_is_sharper_than_push_pull(partial):
    def contrast(name: str) -> float:
        return float(fill(name, partial).rgb[0, :, 36:].diff(dim=0).abs().mean())

    assert contrast("patchmatch") > 1.2 * contrast("push-pull")


def test_missing_patchmatch_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "patchmatch", None)
    with pytest.raises(ValueError, match=r"pip install 'splatmem\[evaluate\]'"):
        load_inpainter("patchmatch")
