"""What is told of Gaussians to be those of another scene is so."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from splatmem.gaussians import Gaussians


def gaussians(count: int, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    return Gaussians(*(torch.randn(count, *shape, generator=generator) for shape in ((3,), (4,), (3,), (), (1, 3))))


def test_what_is_joined_begins_with_its_parts() -> None:
    old, added, more = gaussians(5), gaussians(3, 1), gaussians(2, 2)
    once = Gaussians.cat([old, added])
    twice = Gaussians.cat([once, more])
    assert twice.lineage.shared(once.lineage) == 8
    assert twice.lineage.shared(old.lineage) == 5
    assert twice.lineage.shared(added.lineage) == 0
    assert Gaussians.cat([old, more]).lineage.shared(once.lineage) == 5
    assert Gaussians.cat([Gaussians.empty(), old]).lineage.shared(old.lineage) == 5


def test_equal_values_alone_are_no_descent() -> None:
    assert gaussians(5).lineage.shared(gaussians(5).lineage) == 0
    assert copy.deepcopy(scene := gaussians(5)).lineage.shared(scene.lineage) == 0
    assert replace(scene, means=scene.means + 1).lineage.shared(scene.lineage) == 0


def test_new_colours_are_new_from_their_stretch_on() -> None:
    scene = Gaussians.cat([gaussians(5), gaussians(3, 1), gaussians(2, 2)])
    changed = scene.recoloured(scene.sh + 1, 5, 8)
    assert changed.lineage.shared(scene.lineage) == 5
    assert changed.recoloured(changed.sh + 1, 8, 10).lineage.shared(changed.lineage) == 8
    assert scene.recoloured(scene.sh + 1, 4, 5).lineage.shared(scene.lineage) == 0, "a stretch is one or not"


def test_a_change_in_place_is_noticed() -> None:
    old = gaussians(5)
    scene = Gaussians.cat([old, gaussians(3, 1)])
    scene.means[6] += 1
    assert scene.lineage.shared(old.lineage) == 0
    assert old.lineage.shared(Gaussians.cat([old, scene]).lineage) == 5
    old.sh.zero_()
    assert Gaussians.cat([old, scene]).lineage.shared(scene.lineage) == 0


def test_other_bands_are_other_values() -> None:
    old = gaussians(5)
    wide = replace(gaussians(3, 1), sh=torch.zeros(3, 4, 3))
    assert Gaussians.cat([old, wide]).lineage.shared(old.lineage) == 0
