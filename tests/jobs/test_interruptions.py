"""A run that is killed, interrupted or stopped by a full disk, at any moment: nothing half-written, and ``--resume`` ends with
the same bytes as a run that nothing disturbed. Real processes, real signals, real disks."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from splatmem.io.ownership import locked
from splatmem.memory.session import has_session

from disks import enlarge, small_disk
from forked_commands import PHOTO, SMALL_RUN, Ended, ForkedCommands

STAGES = ("loading the models", "lifting the photo", "making the unseen", "filming", "writing the scene and the report")
TIMES = {"report.json", "report.html", "memory/session.json"}  # hold seconds: compared without those
MEBIBYTE = 2**20


class Flyaround:
    """A small run of the main job into ``out``."""

    def __init__(self, splatmem: ForkedCommands, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.splatmem, self.folder, self.out = splatmem, folder, folder / "out"

    def arguments(self, *options: str) -> tuple[object, ...]:
        return ("flyaround", PHOTO, "--out", self.out, *SMALL_RUN, *options)

    def run(self, *options: str) -> Ended:
        return self.splatmem(*self.arguments(*options))

    def start(self, *options: str, die_at: int | None = None):
        return self.splatmem.start(*self.arguments(*options), die_at=die_at, watch=self.folder)


@pytest.fixture
def run(splatmem: ForkedCommands, tmp_path: Path) -> Flyaround:
    return Flyaround(splatmem, tmp_path / "run")


@pytest.fixture(scope="module")
def changes(splatmem: ForkedCommands, tmp_path_factory: pytest.TempPathFactory, small_run: Path) -> int:
    """How often an undisturbed run changes the disk; on the way: two runs end with the same bytes."""
    run = Flyaround(splatmem, tmp_path_factory.mktemp("undisturbed") / "run")
    running = run.start(die_at=0)
    assert running.wait().status == 0
    assert_same_results(run.out, small_run)
    return running.changes


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def listing(folder: Path) -> dict[str, int]:
    return {str(f.relative_to(folder)): f.stat().st_mtime_ns for f in folder.rglob("*")}


def without_times(folder: Path) -> list[Any]:
    report = json.loads((folder / "report.json").read_text())
    index = json.loads((folder / "memory" / "session.json").read_text())
    assert {"total", "load", "fill"} <= set(report["seconds"])
    for values, keys in ((report, ("seconds", "peak_rss_bytes")), (index["progress"], ("seconds",)), (index, ("sha256",))):
        for key in keys:
            del values[key]
    return [report, index]


def assert_same_results(folder: Path, whole: Path) -> None:
    found, expected = contents(folder), contents(whole)
    assert set(found) == set(expected), "no file is missing, and none is left over"
    different = [name for name in expected if name not in TIMES and found[name] != expected[name]]
    assert different == []
    assert without_times(folder) == without_times(whole)


def assert_resumes(run: Flyaround, whole: Path) -> None:
    """What a user does next leads to the whole result, beside which nothing is left."""
    if not run.out.exists():
        ended = run.run("--resume") if run.out.with_name("out.partial").exists() else run.run()
        assert ended.status == 0, ended.err
        left = ["out"]
    else:  # the lock's file goes after the results have come; one that is left holds nobody
        left = ["out", ".out.lock"]
    assert_same_results(run.out, whole)
    assert {"out"} <= {entry.name for entry in run.folder.iterdir()} <= set(left)


def assert_nothing_half_written(run: Flyaround, whole: Path) -> None:
    if run.out.exists():
        assert_same_results(run.out, whole)


def killed_before(run: Flyaround, number: int, whole: Path) -> None:
    ended = run.start(die_at=number).wait()
    assert ended.status == -signal.SIGKILL, f"change {number}: {ended.err}"
    assert_nothing_half_written(run, whole)
    assert_resumes(run, whole)


def test_killed_before_a_change_to_the_disk(run: Flyaround, changes: int, small_run: Path) -> None:
    number = random.randint(1, changes)
    print(f"killed before change {number} of {changes}")
    killed_before(run, number, small_run)


@pytest.mark.slow
def test_killed_before_each_change_to_the_disk(splatmem: ForkedCommands, tmp_path: Path, changes: int, small_run: Path) -> None:
    for number in range(1, changes + 1):
        killed_before(Flyaround(splatmem, tmp_path / str(number)), number, small_run)


def test_a_second_run_into_the_same_folder_is_refused(run: Flyaround) -> None:
    with locked(run.out):
        before = listing(run.folder)
        for options in ((), ("--overwrite",), ("--resume",)):
            ended = run.run(*options)
            assert ended.status == 2
            assert f"process {os.getpid()} is writing {run.out}" in ended.error
        assert listing(run.folder) == before


def test_resuming_needs_no_photo_and_a_complete_run_nothing(run: Flyaround, changes: int, small_run: Path) -> None:
    photo = shutil.copy(PHOTO, run.folder.parent / PHOTO.name)
    arguments = ("flyaround", photo, "--out", run.out, *SMALL_RUN)
    ended = run.splatmem.start(*arguments, die_at=changes // 2, watch=run.folder).wait()
    assert ended.status == -signal.SIGKILL
    photo.unlink()
    ended = run.splatmem(*arguments, "--resume")
    assert ended.status == 0, ended.err
    found, expected = contents(run.out), contents(small_run)
    assert [name for name in expected if name not in TIMES and found.get(name) != expected[name]] == []
    before = listing(run.folder)
    ended = run.splatmem(*arguments, "--resume")
    assert ended.status == 0
    assert ended.err.strip() == f"{run.out} is complete: there is nothing to resume"
    assert listing(run.folder) == before


@pytest.mark.slow
def test_killed_again_while_resuming(run: Flyaround, small_run: Path) -> None:
    """Each attempt dies after a few changes to the disk, and comes a little farther than the one before. What is written at
    the end begins anew each time: an attempt that got no farther than the one before it must live longer."""
    deaths, ended = 0, run.start(die_at=10).wait()
    while ended.status == -signal.SIGKILL and not run.out.exists():
        deaths += 1
        ended = run.start("--resume", die_at=12 + 2 * deaths).wait()
    assert ended.status in (0, -signal.SIGKILL), ended.err
    assert deaths >= 3
    assert_resumes(run, small_run)


def interrupted_in(run: Flyaround, stage: str, number: signal.Signals, whole: Path) -> None:
    running = run.start()
    assert running.wait_for(stage)
    delay = random.uniform(0, 0.7)
    time.sleep(delay)
    running.send(number)
    ended = running.wait()
    told = f"{stage} + {delay:.3f} s, {number.name}: {ended.err}"
    print(told)
    partial = run.out.with_name("out.partial")
    if ended.status == 0:  # it was faster
        assert run.out.exists(), told
    else:
        assert ended.status == 128 + number, told
        last = ended.err.splitlines()[-1]
        kept = (partial / "memory").exists()
        assert last == "interrupted" + "; what was finished is kept: run the same command with --resume to go on" * kept, told
        assert partial.exists() == kept, f"what cannot be resumed leaves nothing; {told}"
    assert_nothing_half_written(run, whole)
    assert_resumes(run, whole)


def test_interrupted_by_the_user(run: Flyaround, small_run: Path) -> None:
    interrupted_in(run, "making the unseen", signal.SIGINT, small_run)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("attempt", range(2))
def test_interrupted_in_every_stage(run: Flyaround, stage: str, number: signal.Signals, attempt: int, small_run: Path) -> None:
    interrupted_in(run, stage, number, small_run)


@pytest.mark.slow
def test_killed_at_any_time(splatmem: ForkedCommands, tmp_path: Path, small_run: Path) -> None:
    """``KILLS=50`` whole runs, killed at random moments; ``-s`` shows what each left and the count."""
    started = time.monotonic()
    assert Flyaround(splatmem, tmp_path / "whole").run().status == 0
    duration = time.monotonic() - started
    outcomes: Counter[str] = Counter()
    for attempt in range(int(os.environ.get("KILLS", "50"))):
        run = Flyaround(splatmem, tmp_path / str(attempt))
        running, delay = run.start(), random.uniform(0, duration)
        time.sleep(delay)
        running.send(signal.SIGKILL)
        assert running.wait().status in (-signal.SIGKILL, 0)
        partial = run.out.with_name("out.partial")
        left = "whole" if run.out.exists() else "to resume" if has_session(partial / "memory") else "to begin anew"
        outcomes[left] += 1
        print(f"{attempt}: killed after {delay:.2f} of {duration:.1f} s, {left}", flush=True)
        assert_nothing_half_written(run, small_run)
        assert_resumes(run, small_run)
        shutil.rmtree(run.folder)
    print(f"the same bytes after each: {dict(outcomes)}")


@pytest.mark.slow
def test_a_finished_run_survives_a_killed_replacement(run: Flyaround, changes: int, small_run: Path) -> None:
    """With --overwrite the old results stay until the new ones take their place."""
    run.folder.mkdir(exist_ok=True)
    shutil.copytree(small_run, run.out)
    (run.out / "note.txt").write_text("of the old run")
    ended = run.start("--overwrite", die_at=changes // 2).wait()
    assert ended.status == -signal.SIGKILL
    assert (run.out / "note.txt").exists()
    assert run.run("--resume").status == 0
    assert_resumes(run, small_run)


@pytest.mark.slow
def test_killed_while_results_are_swapped(splatmem: ForkedCommands, tmp_path: Path, changes: int, small_run: Path) -> None:
    """The last changes of a replacement: at each of them either the old or the new results are there, or can be had."""
    for number in range(changes - 3, changes + 5):
        run = Flyaround(splatmem, tmp_path / str(number))
        shutil.copytree(small_run, run.out)
        running = run.start("--overwrite", die_at=number)
        ended = running.wait()
        places = [run.out, run.folder / "out.replaced", run.folder / "out.partial"]
        assert any((place / "scene.ply").exists() for place in places)
        if ended.status and run.folder.joinpath("out.partial").exists():
            assert run.run("--resume").status == 0
        assert run.run("--overwrite").status == 0, "a folder left by a killed run is no obstacle"
        assert_resumes(run, small_run)


def filled(splatmem: ForkedCommands, folder: Path, size: int, whole: Path) -> None:
    """A run on a disk of ``size`` bytes, which is enlarged when the run has failed."""
    with small_disk(folder, size) as disk:
        run = Flyaround(splatmem, disk)
        ended = run.run()
        told = f"{size / MEBIBYTE:.2f} MiB: {ended.err}"
        if ended.status != 0:
            assert ended.status == 2, told
            assert "No space left on device" in ended.error, told
            assert str(disk) in ended.error, told
            kept = (disk / "out.partial" / "memory").exists()
            assert ("--resume" in ended.error) == kept, told
            assert not run.out.exists(), told
            assert kept or not any(disk.iterdir()), f"what cannot be resumed leaves nothing; {told}"
            assert not list(disk.glob("**/.*partial*")), told
        enlarge(disk, 64 * MEBIBYTE)
        assert_resumes(run, whole)


def test_full_disk(splatmem: ForkedCommands, tmp_path: Path, small_run: Path) -> None:
    filled(splatmem, tmp_path / "disk", int(1.5 * MEBIBYTE), small_run)


@pytest.mark.slow
@pytest.mark.parametrize("mebibytes", [0.02, 0.3, 0.8, 1.0, 2.0, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 7.5, 8.0, 9.0, 10.0, 12.0])
def test_disks_of_many_sizes(splatmem: ForkedCommands, tmp_path: Path, small_run: Path, mebibytes: float) -> None:
    filled(splatmem, tmp_path / "disk", int(mebibytes * MEBIBYTE), small_run)
