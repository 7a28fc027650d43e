"""What tells the thing at a clicked pixel."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.edit import thing
from splatmem.edit.click_features import NUM_FEATURES, click_features, click_maps, region_alike
from splatmem.edit.thing import classes_of, thing_mask
from splatmem.memory import PlainPictures
from thing_before_wall import BLOCK_DEPTH, HEIGHT, MIDDLE, WALL, WIDTH, camera, memory, picture

DOWN = torch.tensor([0.0, 1.0, 0.0])


def test_ways_within_a_thing_are_cheaper_than_ways_out_of_it() -> None:
    rgb, depth = picture(with_block=True)
    features = click_features(click_maps(rgb, depth, camera(), DOWN, None), int(MIDDLE[1]), int(MIDDLE[0]))
    assert features.shape == (NUM_FEATURES, HEIGHT, WIDTH)
    assert torch.isfinite(features).all()
    block = depth == BLOCK_DEPTH
    for way in (features[0], features[1], features[4], features[5]):  # of colour, of depth, of all, of borders
        assert way[block].max() < way[~block].min()


def test_without_anything_but_sky_features_are_finite() -> None:
    rgb, sky = torch.full((HEIGHT, WIDTH, 3), 0.7), torch.full((HEIGHT, WIDTH), torch.inf)
    assert torch.isfinite(click_features(click_maps(rgb, sky, camera(), DOWN, None), 9, 9)).all()


def test_a_region_of_like_tokens_ends_where_another_texture_begins() -> None:
    rgb, depth = torch.full((HEIGHT, WIDTH, 3), 0.6), torch.full((HEIGHT, WIDTH), WALL)
    middle = WIDTH // 2
    rgb[:, :middle] = torch.rand(HEIGHT, middle, 3, generator=torch.Generator().manual_seed(0)).round()
    maps = click_maps(rgb, depth, camera(), DOWN, None)
    region = region_alike(maps, HEIGHT // 2, middle // 2)
    assert region[:, : middle - 8].float().mean() > 0.7
    assert region[:, middle + 8 :].float().mean() < 0.1


def test_what_the_photo_shows_is_told_from_beside_it_too() -> None:
    scene = memory()
    aside = camera().moved(right=0.3)
    shown = scene.read(aside)
    depth = shown.depth[0]
    assert classes_of(scene, aside, depth) is None
    view = scene.views[0]
    block = (view.depth - BLOCK_DEPTH).abs() < 0.1
    labels = torch.where(block, int(PixelClass.THING), int(PixelClass.WALL)).to(torch.uint8)
    scene.views[0] = replace(
        view, pictures=PlainPictures(view.rgb, view.depth, view.written, PixelClasses(labels, block.short()))
    )
    told = classes_of(scene, aside, depth)
    assert told is not None
    on_block, on_wall = (shown.rgb[0] - torch.tensor([0.85, 0.1, 0.1])).abs().amax(-1) < 0.1, (depth - WALL).abs() < 0.02
    assert (told.where(PixelClass.THING) & (told.things == 1))[on_block].float().mean() > 0.9
    assert told.where(PixelClass.THING)[on_wall].float().mean() < 0.02
    hidden_before = on_wall & told.where(PixelClass.UNKNOWN)
    assert 0 < hidden_before.sum() < 0.3 * on_wall.sum()


def test_where_no_thing_is_found_the_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thing, "thing_in_view", lambda *_: torch.zeros(HEIGHT, WIDTH, dtype=torch.bool))
    with pytest.raises(ValueError, match="no thing was found at the pixel"):
        thing_mask(memory(), camera(), MIDDLE)


@pytest.mark.parametrize(("found", "whole"), [(0.7, True), (0.3, False)])
def test_the_rest_of_a_region_of_like_tokens_comes_along_if_most_of_it_was_found(
    monkeypatch: pytest.MonkeyPatch, found: float, whole: bool
) -> None:
    scene = memory()
    reading = scene.read(camera())
    monkeypatch.setattr(thing, "region_alike", lambda maps, *_: torch.ones(maps.size, dtype=torch.bool))
    monkeypatch.setattr(thing, "foot_of", lambda mask, *_: torch.zeros_like(mask))

    def network(features: torch.Tensor) -> torch.Tensor:
        logits = torch.full((1, *features.shape[-2:]), -9.0)
        logits[..., : round(found * features.shape[-1])] = 9.0
        return logits

    monkeypatch.setattr(thing, "load_click_network", lambda: network)
    monkeypatch.setattr(thing, "_cut", lambda rgb, values, clicked: torch.from_numpy(values > 0.5))
    things = torch.ones(HEIGHT, WIDTH)
    told = PixelClasses((int(PixelClass.THING) * things).to(torch.uint8), things.short())
    outline = thing.thing_in_view(reading, camera(), MIDDLE, DOWN, told)
    assert bool(outline[:, -1].all()) == whole
    assert not thing.thing_in_view(reading, camera(), MIDDLE, DOWN)[:, -1].any(), "without classes nothing does"
    assert outline[:, 0].all()
