"""A batch on one machine, with films that take no time: who makes what, what is left, and what the table says."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import splatmem
from splatmem.batch import run
from splatmem.batch.machine import plan_workers
from splatmem.batch.manifest import Row
from splatmem.batch.options import BatchOptions
from splatmem.batch.run import BatchSummary, batch

from stub_films import StubMaker, tree

FOLDERS = [str(Path(__file__).parents[1]), str(Path(splatmem.__file__).parents[1])]


class Heard:
    """What a batch told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, stage: str, share: float) -> None: ...

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(autouse=True)
def _stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "film_maker", StubMaker)


def manifest_of(folder: Path, events: dict[str, str]) -> Path:
    """A manifest with a row for each name, and its photos."""
    folder.mkdir(exist_ok=True)
    (folder / "p.png").touch()
    file = folder / "films.csv"
    file.write_text("id,source,prompt\n" + "".join(f"{name},p.png,{event}\n" for name, event in events.items()))
    return file


def made(manifest: Path, out: Path | str, heard: Heard | None = None, **options: Any) -> BatchSummary:
    return batch(BatchOptions(manifest=str(manifest), out=str(out), **{"workers": 2, **options}), heard or Heard())


def states(summary: BatchSummary) -> dict[str, str]:
    return {line["id"]: line["state"] for line in summary.lines}


def begun(out: Path) -> list[str]:
    return [line.split()[0] for line in (out / "begun.txt").read_text().splitlines()]


def test_whatever_happens_to_a_film_the_others_are_made_once(tmp_path: Path) -> None:
    events = {"a": "", "killed": "kill", "hopeless": "always kill", "broken": "fail", "large": "full", "b": "", "c": ""}
    manifest, out, heard = manifest_of(tmp_path / "in", events), tmp_path / "out", Heard()
    summary = made(manifest, out, heard)
    failed = {"hopeless", "broken", "large"}
    assert states(summary) == {name: "failed" if name in failed else "made" for name in events}
    errors = {line["id"]: line["error"] for line in summary.lines if line["error"]}
    assert set(errors) == failed
    assert "killed (SIGKILL)" in errors["hopeless"]
    assert errors["broken"] == "this photo is broken"
    assert sorted(begun(out)) == sorted([*events, "killed", "hopeless"])
    assert [line["tries"] for line in summary.lines] == [1, 2, 2, 1, 1, 1, 1]
    with (out / "results.csv").open(newline="") as file:
        assert {line["id"]: line["state"] for line in csv.DictReader(file)} == states(summary)
    page = (out / "index.html").read_text()
    assert "this photo is broken" in page
    assert 'src="killed/video.mp4"' in page
    assert any("broken: this photo is broken" in line for line in heard.lines)

    # The same again: what is whole stays as it is, what failed is tried again.
    whole = {name: tree(out / name) for name in events if name not in failed}
    again = made(manifest_of(tmp_path / "in", {**events, "new": ""}), out)
    assert states(again) == {**{name: "failed" if name in failed else "kept" for name in events}, "new": "made"}
    assert {name: tree(out / name) for name in whole} == whole

    # Alone and undisturbed, the films have the same bytes.
    alone = manifest_of(tmp_path / "in", events)
    made(alone, tmp_path / "alone", workers=1, tries=2)
    assert {name: tree(tmp_path / "alone" / name) for name in whole} == whole


def test_parts_of_an_array_make_all_films_once(tmp_path: Path) -> None:
    manifest, out = manifest_of(tmp_path / "in", {f"film{n}": "" for n in range(5)}), tmp_path / "out"
    assert [len(made(manifest, out, array=(part, 3), workers=1).lines) for part in range(3)] == [2, 2, 1]
    assert (out / "results.1-of-3.csv").is_file()
    assert not (out / "results.csv").exists()
    summary = made(manifest, out)
    assert set(states(summary).values()) == {"kept"}
    assert sorted(begun(out)) == [f"film{n}" for n in range(5)]
    assert (out / "results.csv").is_file()


def test_a_dry_run_checks_rows_and_makes_nothing(tmp_path: Path) -> None:
    manifest, out = manifest_of(tmp_path / "in", {"a": ""}), tmp_path / "out"
    with manifest.open("a") as file:
        file.write("gone,nothere.png,\n")
    assert states(made(manifest, out, dry_run=True)) == {"a": "waiting", "gone": "failed"}
    assert not (out / "begun.txt").exists()
    assert "not made yet" in (out / "index.html").read_text()


def test_the_table_as_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    manifest, out = manifest_of(tmp_path / "in", {"a": "", "broken": "fail"}), tmp_path / "out"
    assert made(manifest, out).notes == []
    table = parquet.read_table(out / "results.parquet").to_pylist()
    assert [(line["id"], line["state"], line["photo_psnr"], line["seed"]) for line in table] == [
        ("a", "made", 40.0, "0"),
        ("broken", "failed", None, None),
    ]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install pyarrow" in made(manifest, out).notes[0]


def test_films_brought_to_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of another file system; here of a folder, since workers share no memory."""
    monkeypatch.setenv("SPLATMEM_BATCH_WORK", str(tmp_path / "work"))
    manifest, out = manifest_of(tmp_path / "in", {"a": "", "killed": "kill"}), tmp_path / "bucket"
    url = f"local://{out}"
    assert states(made(manifest, url)) == {"a": "made", "killed": "made"}
    assert sorted(file.name for file in (out / "killed").iterdir()) == sorted(
        [".splatmem", "video.mp4", "scene.ply", "cameras.json", "report.html", "contact_sheet.png", "report.json"]
    )
    assert (out / "index.html").is_file()
    assert states(made(manifest, url)) == {"a": "kept", "killed": "kept"}
    assert not list((tmp_path / "work").rglob("video.mp4"))


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path / "in", {"a": ""})
    with pytest.raises(ValueError, match="holds files that are not a batch of splatmem"):
        made(manifest, tmp_path / "in")


BATCH = """
import sys
sys.path[:0] = {folders!r}
from splatmem.batch import run
from splatmem.cli import interruption
from stub_films import StubMaker
if __name__ == "__main__":
    run.film_maker = StubMaker
    from splatmem.cli.main import main
    main(sys.argv[1:])
"""


def started_batch(tmp_path: Path, manifest: Path, out: Path) -> subprocess.Popen[str]:
    """A batch in a process of its own, of which the first two films wait."""
    script = tmp_path / "batch.py"
    script.write_text(BATCH.format(folders=FOLDERS))
    command = [sys.executable, str(script), "batch", str(manifest), "--out", str(out), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (out / "begun.txt").is_file() or len(begun(out)) < 2:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no film was begun"
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_batch_that_was_ended_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C reaches the workers as well; SIGKILL the first process alone."""
    manifest, out = manifest_of(tmp_path / "in", {"a": "wait", "b": "wait", "c": "", "d": ""}), tmp_path / "out"
    process = started_batch(tmp_path, manifest, out)
    workers = {int(line.split()[1]) for line in (out / "begun.txt").read_text().splitlines()}
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    said = process.communicate(timeout=60)[1]
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "workers outlive the batch"
        time.sleep(0.02)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert said.splitlines()[-1] == "interrupted; what was finished is kept: run the same command to go on"
        assert "waiting" in (out / "results.csv").read_text()
    assert states(made(manifest, out)) == dict.fromkeys("abcd", "made")


def test_workers_by_cores_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row("a", {"size": (512, 288), "device": "cpu"})]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    for free, threads, expected in (
        (10**12, None, 16),
        (10**12, 4, 4),
        (4 * 2**30, None, 2),
        (2**20, None, 1),
        (None, None, 16),
    ):
        monkeypatch.setattr("splatmem.batch.machine.free_main_memory", lambda free=free: free)
        plan = plan_workers(rows, threads, None)
        assert plan.workers == expected
        assert "16 cores" in plan.reason
