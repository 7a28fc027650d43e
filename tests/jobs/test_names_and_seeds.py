"""File names that are long, hold colons or are no UTF-8, and seeds of any size: they work like any other."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from splatmem.explore.seeds import usable_seed
from splatmem.io.names import LONGEST, beside

from forked_commands import PHOTO, SMALL_RUN, ForkedCommands

SLOW = pytest.mark.slow
SHORT = ("--size", "96x64", "--frames", 2, "--path", "dolly")
NAMES = {
    "long": "n" * 250,
    "long, in letters of two bytes": "ü" * 125,
    "colon": "http:a",
    "no UTF-8": os.fsdecode(b"a\xffb"),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, id=kind, marks=[SLOW] if kind in ("long", "colon") else []) for kind, name in NAMES.items()],
)
def test_a_name_through_all_commands(splatmem: ForkedCommands, small_run: Path, tmp_path: Path, name: str) -> None:
    """Each file is written under the name itself, beside which nothing is left."""

    def file(suffix: str) -> Path:
        return tmp_path / (os.fsdecode(os.fsencode(name)[: 250 - len(suffix)]) + suffix)

    photo, scene = shutil.copy(PHOTO, file(".jpg")), tmp_path / name
    shutil.copytree(small_run, scene)
    film = ("render", scene, "--path", "dolly", "--frames", 2, "--out")
    for arguments, made in (
        (("flyaround", photo, "--out", scene, *SHORT, "--overwrite"), scene / "report.html"),
        ((*film, file(".mp4")), file(".mp4")),
        (("export", scene, file(".ply")), file(".ply")),
        (("inspect", scene, "--screenshot", file(".png")), file(".png")),
    ):
        ended = splatmem(*arguments)
        assert ended.status == 0, ended.err
        assert made.stat().st_size > 0
    source = json.loads((scene / "report.json").read_text())["source"]
    assert os.fsencode(source) == os.fsencode(photo.name), "the report names it as it is"
    assert {entry.name for entry in tmp_path.iterdir()} == {name, *(file(s).name for s in (".jpg", ".mp4", ".ply", ".png"))}


def test_a_film_in_the_working_folder_whose_name_begins_like_a_protocol(splatmem: ForkedCommands, small_run: Path) -> None:
    running = splatmem.start("render", small_run, "--out", "http:c.mp4", "--path", "dolly", "--frames", 2)
    ended = running.wait()
    assert ended.status == 0, ended.err
    assert (running.folder / "http:c.mp4").stat().st_size > 0


def test_a_run_with_a_long_name_is_resumed(splatmem: ForkedCommands, small_run: Path, tmp_path: Path) -> None:
    out = tmp_path / ("n" * 250)
    arguments = ("flyaround", PHOTO, "--out", out, *SMALL_RUN)
    ended = splatmem.start(*arguments, die_at=40, watch=tmp_path).wait()
    assert ended.status == -signal.SIGKILL
    assert not out.exists()
    assert splatmem(*arguments, "--resume").status == 0
    assert (out / "scene.ply").read_bytes() == (small_run / "scene.ply").read_bytes()


def test_names_beside_long_ones_differ_and_fit() -> None:
    names = ["a" * 250, "a" * 249 + "b", "ü" * 125, "a" + "ü" * 124, os.fsdecode(b"\x80" * 250)]
    made = [beside(Path("folder") / name, ".", ".partial").name for name in names]
    assert len(set(made)) == len(names)
    for name in made:
        assert len(os.fsencode(name)) <= LONGEST
        assert name.startswith(".")
        assert name.endswith(".partial")
    assert all("\udc80" not in name and name.encode() for name in made[:4]), "no letter is cut in two"
    assert beside(Path("folder/short"), "", ".partial") == Path("folder/short.partial")


@pytest.mark.parametrize(
    "seed", [-1, int("9" * 4000), *(pytest.param(seed, marks=SLOW) for seed in (-(10**30), 2**64 - 1, 2**64))]
)
def test_seeds_of_any_size(splatmem: ForkedCommands, tmp_path: Path, seed: int) -> None:
    ended = splatmem("flyaround", PHOTO, "--out", tmp_path / "out", *SHORT, f"--seed={seed}")
    assert ended.status == 0, ended.err
    assert f'"seed": {seed},' in (tmp_path / "out" / "report.json").read_text()


def test_which_seed_stands_for_another() -> None:
    for seed in (0, 1, 2**32, 2**63 - 1):
        assert usable_seed(seed) == seed
    assert usable_seed(-1) == 2**63 - 1
    assert usable_seed(2**63 + 5) == 5
    assert 0 <= usable_seed(-(10**5000)) < 2**63
