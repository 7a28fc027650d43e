"""What all tests share: checked annotations, the textured room along a full turn, and the command line."""

# ruff: noqa: E402 - the import hook comes before the package

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

# Read when PyTorch is loaded. The command line sets the first, too; processes that run tests beside each other share the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import jaxtyping
import pytest

import checked_annotations

# Every call of the package in this process is checked against its annotations, the shapes and dtypes of tensors among them.
checked_annotations.install()

from splatmem.geometry.cameras import Cameras

import remembered_depths
from forked_commands import PHOTO, SMALL_RUN, ForkedCommands, forked_commands
from textured_room import room, turn

folder_of_depths = remembered_depths.make_folder()
remembered_depths.remember()

# No test depends on how fast the machine is.
hypothesis.settings.register_profile("splatmem", deadline=None)
hypothesis.settings.load_profile("splatmem")

# Files that take longest, in that order: with workers that take file after file, none of these is left for the end.
LONGEST_FILES = (
    "tools/test_measure_gpu.py", "jobs/test_model_runs.py", "live/test_browser.py", "test_scene.py", "evaluation/test_run.py",
    "test_units.py", "examples/test_own_parts.py", "jobs/test_out_of_memory.py", "test_devices.py", "edit/test_history.py",
    "jobs/test_edits.py", "jobs/test_interruptions.py", "evaluation/test_film.py",
    "jobs/test_keep_motion.py", "io/test_page.py", "test_start_and_end.py", "jobs/test_limits.py",
    "jobs/test_names_and_seeds.py", "explore/test_begin.py", "tools/test_prepare_windows.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the rest as they are."""
    folder = Path(__file__).parent
    places = {folder / name: place for place, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Tests of refusals reach the package's own checks: annotations are not checked while they run."""
    before = jaxtyping.config.jaxtyping_disable  # JAXTYPING_DISABLE=1 turns all checks off
    jaxtyping.config.update("jaxtyping_disable", before or item.get_closest_marker("breaks_annotations") is not None)
    try:
        return (yield)
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


def pytest_unconfigure() -> None:
    if folder_of_depths is not None:
        remembered_depths.remove_folder(folder_of_depths)


@pytest.fixture(scope="session")
def room_turn() -> Cameras:
    return turn(24)


@pytest.fixture(scope="session")
def room_frames(room_turn):
    """(rgb, depth) of the room along the turn."""
    reading = room().render(room_turn)
    return reading.rgb, reading.depth


@pytest.fixture(scope="session")
def splatmem() -> Iterator[ForkedCommands]:
    """The command line, each command in a process of its own."""
    with forked_commands() as commands:
        yield commands


@pytest.fixture(scope="session")
def small_run(splatmem: ForkedCommands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a small run of the main job has written."""
    out = tmp_path_factory.mktemp("small") / "out"
    ended = splatmem("flyaround", PHOTO, "--out", out, *SMALL_RUN)
    assert ended.status == 0, ended.err
    return out
