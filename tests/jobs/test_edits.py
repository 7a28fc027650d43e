"""The commands that change a scene's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import splatmem as sm
import torch
from splatmem import assets
from splatmem.cli.general import GeneralOptions
from splatmem.cli.main import _joined_numbers, _parsed
from splatmem.cli.telling import Telling
from splatmem.io.ply import load_ply, save_ply
from splatmem.jobs.edit import change
from splatmem.jobs.edit_options import CompactOptions, CropOptions, ExtendOptions, RecolourOptions, RemoveOptions, UndoOptions
from splatmem.jobs.options import RenderOptions
from splatmem.jobs.render import render

FAST = sm.ExploreSettings(photo_refine_steps=2, refine_steps=1)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    scene = sm.Scene.from_photo(assets.path("photos/interior_table.jpg"), (96, 54), settings=FAST)
    scene.save(tmp_path / "room")
    save_ply(scene.memory.gaussians, tmp_path / "room" / "scene.ply")
    return tmp_path / "room"


def test_a_change_goes_into_the_folder_and_its_ply(room: Path) -> None:
    made = change(RemoveOptions(scene=room, region=(60.0, 5.0, 75.0, 25.0), save_as="corner"))
    assert made.history == ("begin", "remove")
    scene = sm.Scene.open(room)
    assert len(load_ply(room / "scene.ply")) == len(scene.memory.gaussians)
    change(RecolourOptions(scene=room, named="corner", exposure=0.5))
    assert change(UndoOptions(scene=room, steps=2)).history == ("begin",)


def test_with_out_the_first_folder_stays_as_it_is(room: Path, tmp_path: Path) -> None:
    before = {file: file.read_bytes() for file in room.rglob("*") if file.is_file()}
    made = change(ExtendOptions(scene=room, path="arc", frames=4, out=tmp_path / "longer"))
    assert made.history == ("begin", "extend")
    assert {file: file.read_bytes() for file in room.rglob("*") if file.is_file()} == before
    assert change(UndoOptions(scene=tmp_path / "longer")).history == ("begin",)


def test_a_scene_that_is_made_small_is_what_was_saved(room: Path, tmp_path: Path) -> None:
    large = sm.Scene.open(room)
    made = change(CompactOptions(scene=room, out=tmp_path / "small"))
    assert made.history == ("begin", "compact")
    small = sm.Scene.open(tmp_path / "small")
    assert len(load_ply(tmp_path / "small" / "scene.ply")) == len(small.memory.gaussians) < 0.75 * len(large.memory.gaussians)
    assert small.memory.photo_fidelity().psnr > 30
    assert len(small.makers) == len(small.memory.gaussians)
    assert len(sm.load_splats(tmp_path / "small" / "scene.spz")) == len(small.memory.gaussians)
    assert (tmp_path / "small" / "scene.html").is_file()
    figures = json.loads((tmp_path / "small" / "compact.json").read_text())
    assert figures["gaussians"] == {"before": len(large.memory.gaussians), "after": len(small.memory.gaussians)}
    assert figures["memory_bytes"]["after"] < 0.75 * figures["memory_bytes"]["before"]
    assert 30 < figures["film_psnr"]["min"] <= figures["film_psnr"]["mean"] < 100
    assert figures["photo_psnr"]["after"] == pytest.approx(small.memory.photo_fidelity().psnr, abs=0.1)
    sizes = [sum(f.stat().st_size for f in (folder / "memory").iterdir()) for folder in (room, tmp_path / "small")]
    assert sizes[1] < 0.4 * sizes[0]
    with pytest.raises(ValueError, match="what it was before is not kept"):
        small.undo()
    # It goes on like any other scene, and that can be undone.
    kept = small.memory.gaussians
    small.extend("arc", frames=4)
    assert torch.equal(small.memory.gaussians.means[: len(kept)], kept.means)
    small.save()
    again = sm.Scene.open(tmp_path / "small")
    assert torch.equal(again.memory.gaussians.means, small.memory.gaussians.means)
    again.undo()
    assert torch.equal(again.memory.gaussians.sh, kept.sh)


def test_render_fills_on_demand(room: Path, tmp_path: Path) -> None:
    options = {"scene": room, "path": "turn", "frames": 6}
    bare = render(RenderOptions(**options, out=tmp_path / "bare.mp4"))  # type: ignore[arg-type]
    filled = render(RenderOptions(**options, out=tmp_path / "filled.mp4", fill=True))  # type: ignore[arg-type]
    assert bare.film.unknown_fraction > 0.3
    assert filled.film.unknown_fraction < 0.05
    assert filled.generated_frames == len(sm.Scene.open(room).memory.views) - 1


def test_a_change_that_cannot_be_made_leaves_the_folder_as_it_was(room: Path) -> None:
    before = {file: file.read_bytes() for file in room.rglob("*") if file.is_file()}
    with pytest.raises(ValueError, match="the selection is empty"):
        change(RemoveOptions(scene=room, sphere=(50.0, 0.0, 0.0, 1.0)))
    with pytest.raises(ValueError, match="nothing would be left"):
        change(CropOptions(scene=room, sphere=(50.0, 0.0, 0.0, 1.0)))
    with pytest.raises(ValueError, match="nothing would go"):
        change(CropOptions(scene=room, sphere=(0.0, 0.0, 0.0, 1e6)))
    with pytest.raises(ValueError, match="there is no selection 'sofa'; saved are: none"):
        change(RemoveOptions(scene=room, named="sofa"))
    with pytest.raises(ValueError, match="made for no film"):
        change(RemoveOptions(scene=room, at=(5.0, 5.0), frame=3))
    with pytest.raises(ValueError, match="say which part"):
        change(RemoveOptions(scene=room))
    assert {file: file.read_bytes() for file in room.rglob("*") if file.is_file()} == before


def test_numbers_that_begin_with_a_minus_are_no_options() -> None:
    words = ["remove", "room", "--box", "-1,0,0,1,1,2", "--grow", "-0.1", "--no-fill"]
    assert _joined_numbers(words) == ["remove", "room", "--box=-1,0,0,1,1,2", "--grow", "-0.1", "--no-fill"]
    options = _parsed(words, Telling(GeneralOptions(), words))
    assert options.box == (-1, 0, 0, 1, 1, 2)
    assert options.grow == -0.1
    assert options.no_fill
