"""Gaussians as whole numbers: near to what they were, the same ever after, and plain ones for whoever changes them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import rasterize
from splatmem.gaussians.quantised import QuantisedGaussians
from splatmem.geometry.cameras import identity_camera
from splatmem.geometry.rotations import quats_to_rotations
from splatmem.metrics import psnr

PARAMETERS = ("means", "quats", "log_scales", "opacity_logits", "sh")


def some(count: int = 2000, unit: float = 1.0) -> Gaussians:
    """In front of the origin, from near to far, of all sizes and colours."""
    generator = torch.Generator().manual_seed(0)
    distance = (4 * torch.rand(count, 1, generator=generator)).exp()
    place = torch.cat([torch.rand(count, 2, generator=generator) - 0.5, torch.ones(count, 1)], 1)
    sizes = (0.02 * distance * unit).log() + 0.5 * torch.randn(count, 3, generator=generator)
    return Gaussians(
        unit * distance * place,
        torch.randn(count, 4, generator=generator),
        sizes,
        4 * torch.rand(count, generator=generator),
        3 * torch.rand(count, 1, 3, generator=generator) - 1.5,
    )


def same(a: Gaussians, b: Gaussians) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in PARAMETERS)


@pytest.mark.parametrize("unit", [2.0**-9, 1.0, 2.0**9])
def test_each_parameter_is_exact_to_its_step(unit: float) -> None:
    plain = some(unit=unit)
    held = QuantisedGaussians.of(plain)
    assert held.nbytes == 18 * len(plain)
    assert ((held.means - plain.means).abs().amax(1) <= 2.0**-15 * plain.means.abs().amax(1)).all()
    turned = (quats_to_rotations(held.quats).mT @ quats_to_rotations(plain.quats)).diagonal(dim1=1, dim2=2).sum(1)
    assert torch.rad2deg(torch.acos(((turned - 1) / 2).clamp(-1, 1))).max() < 0.75
    assert (held.log_scales - plain.log_scales).abs().max() <= 2.0**-5 * 1.001
    assert (held.opacities - plain.opacities).abs().max() < 0.01
    assert (held.rgb - plain.rgb).abs().max() < 0.5 / 226


def test_what_was_quantised_stays_the_same_to_the_bit() -> None:
    held = QuantisedGaussians.of(some())
    plain = held.select(slice(None))
    assert type(plain) is Gaussians
    assert same(QuantisedGaussians.of(plain), held)
    again = QuantisedGaussians.exactly(plain)
    assert again is not None
    assert same(again, held)
    assert QuantisedGaussians.exactly(some()) is None


def test_pictures_are_nearly_the_same() -> None:
    plain, camera = some(), identity_camera(60.0, 96, 64)
    before, after = (rasterize(scene, camera).rgb for scene in (plain, QuantisedGaussians.of(plain)))
    assert psnr(after, before) > 40


def test_numbers_beyond_a_range_get_its_end() -> None:
    plain = some(4)
    plain.means[0] = 0.0
    plain.means[1] = 1e-40
    plain.log_scales[0], plain.log_scales[1] = -40.0, 1.0
    plain.opacity_logits[0], plain.opacity_logits[1] = 30.0, -30.0
    plain.sh[0], plain.sh[1] = 9.0, -9.0
    plain.quats[0] = 0.0
    held = QuantisedGaussians.of(plain)
    assert all(getattr(held, name).isfinite().all() for name in PARAMETERS)
    assert held.means[0].eq(0).all()
    assert held.log_scales.max() == 1.0
    assert held.opacities[0] > 0.999
    assert held.opacities[1] < 0.001
    assert held.rgb[0].min() > 1
    assert held.rgb[1].max() < 0
    assert same(QuantisedGaussians.of(held.select(slice(None))), held)


@pytest.mark.parametrize(
    "change",
    [
        lambda held: held.select(torch.arange(len(held))),
        lambda held: held.select(torch.ones(len(held), dtype=torch.bool)),
        lambda held: Gaussians.cat([held]),
        lambda held: held.with_values(means=held.means),
        lambda held: held.recoloured(held.sh, 0, 1),
        lambda held: held.detach(),
    ],
    ids=("indices", "mask", "cat", "with_values", "recoloured", "detach"),
)
def test_what_is_made_of_them_is_plain_and_the_same(change: Callable[[QuantisedGaussians], Gaussians]) -> None:
    held = QuantisedGaussians.of(some(50))
    made = change(held)
    assert type(made) is Gaussians
    assert same(made, held)


@pytest.mark.parametrize("change", [lambda held: held.to("cpu"), copy.deepcopy, lambda held: pickle.loads(pickle.dumps(held))])
def test_copies_are_held_in_the_same_way(change: Callable[[QuantisedGaussians], Gaussians]) -> None:
    held = QuantisedGaussians.of(some(50))
    made = change(held)
    assert isinstance(made, QuantisedGaussians)
    assert same(made, held)


def test_nothing_is_kept_beside_the_whole_numbers() -> None:
    held = QuantisedGaussians.of(some(50))
    lineage = held.lineage
    assert held.scales is not held.scales
    assert held.lineage is lineage
    with pytest.raises(AttributeError):
        held.means = torch.zeros(50, 3)  # type: ignore[misc]


def test_none_at_all_can_be_held() -> None:
    held = QuantisedGaussians.of(Gaussians.empty())
    assert len(held) == 0
    assert same(held, Gaussians.empty())


def test_features_and_harmonics_are_refused() -> None:
    plain = some(5)
    for other in (plain.with_values(features=torch.zeros(5, 2)), plain.with_values(sh=torch.zeros(5, 4, 3))):
        with pytest.raises(ValueError, match="cannot be quantised"):
            QuantisedGaussians.of(other)
        assert QuantisedGaussians.exactly(other) is None
