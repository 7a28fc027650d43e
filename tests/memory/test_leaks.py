import pytest
import torch
from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import rasterize
from splatmem.gaussians.lift import lift
from splatmem.geometry.cameras import identity_camera
from splatmem.memory import leaks
from splatmem.memory.leaks import trim_leaks

CAMERA = identity_camera(60.0, 64, 36)


def wall(depth: float = 2.0) -> Gaussians:
    rgb = torch.full((36, 64, 3), 0.4)
    return lift(rgb, torch.full((36, 64), depth), CAMERA, torch.ones(36, 64, dtype=torch.bool))


def spot(x: float, z: float, size: float) -> Gaussians:
    return Gaussians(
        means=torch.tensor([[x, 0.0, z]]),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        log_scales=torch.tensor([[size, size, 0.001]]).log(),
        opacity_logits=torch.tensor([3.0]),
        sh=torch.ones(1, 1, 3),
    )


KNOWN = torch.ones(1, 36, 64, dtype=torch.bool)


def test_what_hangs_before_the_known_is_left_out():
    assert len(trim_leaks(wall(), spot(0.0, 1.5, 0.1), CAMERA, KNOWN)) == 0


def test_what_lies_behind_or_beside_stays_as_it_is():
    for harmless in (spot(0.0, 3.0, 0.1), spot(4.0, 2.0, 0.1)):
        kept = trim_leaks(wall(), harmless, CAMERA, KNOWN)
        assert torch.equal(kept.log_scales, harmless.log_scales)


def test_a_rim_that_reaches_into_the_picture_is_drawn_in():
    beside = spot(1.22, 1.98, 0.05)  # the picture ends at 1.155
    before = rasterize(wall(), CAMERA).rgb
    kept = trim_leaks(wall(), beside, CAMERA, KNOWN)
    assert len(kept) == 1
    assert (kept.log_scales[0, :2] < beside.log_scales[0, :2]).all()
    assert kept.log_scales[0, 2] == beside.log_scales[0, 2]
    after, loose = (rasterize(Gaussians.cat([wall(), new]), CAMERA).rgb for new in (kept, beside))
    assert (after - before).abs().sum() < 0.2 * (loose - before).abs().sum()


def test_unknown_pixels_may_be_covered():
    unknown = torch.zeros_like(KNOWN)
    assert len(trim_leaks(wall(), spot(0.0, 1.5, 0.1), CAMERA, unknown)) == 1


def test_what_a_leak_hid_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small spot in free space, hidden by large ones that are left out."""
    hidden = Gaussians.cat([spot(0.0, 1.40, 0.8), spot(0.0, 1.42, 0.8), spot(0.0, 1.6, 0.03)])
    hidden.opacity_logits[:2] = 5.0
    assert len(trim_leaks(wall(), hidden, CAMERA, KNOWN)) == 0
    monkeypatch.setattr(leaks, "REMOVALS", 1)
    assert len(trim_leaks(wall(), hidden, CAMERA, KNOWN)) == 1
