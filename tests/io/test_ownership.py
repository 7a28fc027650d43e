"""Whose a folder is, and who works on it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from splatmem.io import ownership
from splatmem.io.ownership import MARK, is_ours, lock_file, locked, make_marked, may_be_removed, remove

HOLD = """
import sys, time
from pathlib import Path
from splatmem.io.ownership import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


class TestMark:
    def test_a_marked_folder_is_ours_of_its_kind(self, tmp_path: Path) -> None:
        make_marked(tmp_path / "new" / "run", "run")
        make_marked(tmp_path / "new" / "run", "run")
        assert is_ours(tmp_path / "new" / "run", "run")
        assert not is_ours(tmp_path / "new" / "run", "session")
        assert not is_ours(tmp_path / "new", "run")
        assert not is_ours(tmp_path / "nowhere", "run")

    def test_an_empty_folder_is_taken_and_a_full_one_is_not(self, tmp_path: Path) -> None:
        make_marked(tmp_path, "run")
        (tmp_path / MARK).unlink()
        (tmp_path / "letter").write_text("dear")
        with pytest.raises(ValueError, match="holds files that are not a run of splatmem"):
            make_marked(tmp_path, "run")
        assert names(tmp_path) == ["letter"]

    @pytest.mark.parametrize("content", [b"", b"splatmem", b"other run\n", b"\xff\xfe", bytes(1000)])
    def test_other_marks(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / MARK).write_bytes(content)
        (tmp_path / "letter").write_text("dear")
        assert not may_be_removed(tmp_path, "run")

    def test_a_mark_that_a_killed_process_did_not_finish(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / MARK).touch()
        make_marked(tmp_path / "run", "run")
        assert is_ours(tmp_path / "run", "run")

    def test_links_are_not_ours(self, tmp_path: Path) -> None:
        make_marked(tmp_path / "run", "run")
        (tmp_path / "link").symlink_to(tmp_path / "run")
        assert not may_be_removed(tmp_path / "link", "run")
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / MARK).symlink_to(tmp_path / "run" / MARK)
        assert not may_be_removed(tmp_path / "other", "run")


class TestRemove:
    def test_ours_goes_and_links_in_it_are_not_followed(self, tmp_path: Path) -> None:
        make_marked(tmp_path / "run", "run")
        (tmp_path / "run" / "memory").mkdir()
        (tmp_path / "run" / "memory" / "part").write_text("p")
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious" / "letter").write_text("dear")
        (tmp_path / "run" / "link").symlink_to(tmp_path / "precious")
        remove(tmp_path / "run", "run")
        assert names(tmp_path) == ["precious"]
        assert names(tmp_path / "precious") == ["letter"]

    @pytest.mark.parametrize("kind", [None, "session"])
    def test_another_s_stays(self, tmp_path: Path, kind: str | None) -> None:
        if kind:
            make_marked(tmp_path, kind)
        (tmp_path / "letter").write_text("dear")
        with pytest.raises(ValueError, match="is in the way and was not made by splatmem"):
            remove(tmp_path, "run")
        assert (tmp_path / "letter").read_text() == "dear"

    def test_the_mark_goes_last(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What an interrupted removal leaves can be removed."""
        make_marked(tmp_path / "run", "run")
        for name in ("a", "z", ".a"):
            (tmp_path / "run" / name).mkdir()
        gone = []

        def interrupted(path: Path) -> None:
            gone.append(path.name)
            assert is_ours(tmp_path / "run", "run")
            path.rmdir()

        monkeypatch.setattr(ownership.shutil, "rmtree", interrupted)
        remove(tmp_path / "run", "run")
        assert sorted(gone) == [".a", "a", "z"]


class TestLock:
    def test_held_once_and_given_back(self, tmp_path: Path) -> None:
        out = tmp_path / "new" / "out"
        with locked(out):
            with pytest.raises(ValueError, match=f"process {os.getpid()} is writing .*out: wait until it ends"), locked(out):
                pass
            with locked(tmp_path / "new" / "other"):
                pass
        with locked(out):
            pass
        assert names(tmp_path) == [], "neither the lock's file nor the folder that was made for it is left"

    def test_an_error_gives_it_back(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt), locked(tmp_path / "out"):
            raise KeyboardInterrupt
        with locked(tmp_path / "out"):
            pass

    def test_another_process_is_named_and_its_death_ends_the_lock(self, tmp_path: Path) -> None:
        holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "out"], stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(ValueError, match=f"process {holder.pid} is writing"), locked(tmp_path / "out"):
                pass
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.communicate()
        assert lock_file(tmp_path / "out").exists()
        with locked(tmp_path / "out"):
            pass
        assert names(tmp_path) == []

    def test_the_same_folder_by_another_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "link").symlink_to(tmp_path)
        monkeypatch.chdir(tmp_path)
        with locked(tmp_path / "out"):
            for other in (Path("out"), tmp_path / "link" / "out"):
                with pytest.raises(ValueError, match="is writing"), locked(other):
                    pass

    @pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
    def test_without_locks_a_note_is_given(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        def refuse(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(ownership.fcntl, "flock", refuse)
        with pytest.warns(UserWarning, match="has no locks: start no second run on this folder"), locked(tmp_path / "out"):
            pass
        assert names(tmp_path) == []

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match="cannot write into the folder"), locked(tmp_path / "file" / "deep" / "out"):
            pass
