import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from splatmem.io.atomic import atomic_path, staged_directory, swap_in
from splatmem.io.ownership import make_marked


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


class TestAtomicPath:
    def test_appears_whole(self, tmp_path: Path) -> None:
        final = tmp_path / "a.bin"
        with atomic_path(final) as temporary:
            temporary.write_bytes(b"new")
            assert temporary.suffix == ".bin"
            assert temporary.parent == tmp_path
            assert not final.exists()
        assert final.read_bytes() == b"new"
        assert names(tmp_path) == ["a.bin"]

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_an_error_leaves_the_old_file(self, tmp_path: Path, error: type[BaseException]) -> None:
        final = tmp_path / "a.bin"
        final.write_bytes(b"old")
        with pytest.raises(error), atomic_path(final) as temporary:
            temporary.write_bytes(b"half")
            raise error
        assert final.read_bytes() == b"old"
        assert names(tmp_path) == ["a.bin"]

    def test_missing_folder_is_named(self, tmp_path: Path) -> None:
        with (
            pytest.raises(OSError, match=r"cannot write into the folder .*nowhere: no such folder"),
            atomic_path(tmp_path / "nowhere" / "a.bin"),
        ):
            pass

    def test_folder_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match="cannot write into the folder"), atomic_path(tmp_path / "file" / "a.bin"):
            pass

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, None])
    def test_write_errors_name_the_folder(self, tmp_path: Path, number: int | None) -> None:
        error = OSError("12 requested and 3 written") if number is None else OSError(number, os.strerror(number))
        with pytest.raises(OSError, match=f"cannot write into the folder {tmp_path}") as caught:
            with atomic_path(tmp_path / "a.bin"):
                raise error
        assert caught.value.errno == (number or errno.EIO)

    def test_errors_of_other_files_pass_unchanged(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"/nonexistent/photo\.jpg"), atomic_path(tmp_path / "a.bin"):
            Path("/nonexistent/photo.jpg").read_bytes()

    def test_a_real_failing_write(self, tmp_path: Path) -> None:
        """A limit on the size of files makes the kernel refuse the write, as a full disk would."""
        code = (
            "import resource, sys\n"
            "from splatmem.io.atomic import atomic_path\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
            "with atomic_path(sys.argv[1]) as temporary:\n"
            "    temporary.write_bytes(bytes(5000))\n"
        )
        done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.bin"], capture_output=True, text=True)
        assert done.returncode == 1
        assert f"OSError: [Errno {errno.EFBIG}] cannot write into the folder {tmp_path}" in done.stderr
        assert names(tmp_path) == []


class TestStagedDirectory:
    def test_appears_whole(self, tmp_path: Path) -> None:
        final = tmp_path / "new" / "out"
        with staged_directory(final, "run") as staged:
            (staged / "sub").mkdir()
            (staged / "sub" / "a.txt").write_text("a")
            assert not final.exists()
        assert (final / "sub" / "a.txt").read_text() == "a"
        assert names(final.parent) == ["out"]

    def test_an_empty_folder_is_filled(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        with staged_directory(tmp_path / "out", "run") as staged:
            (staged / "a").write_text("a")
        assert names(tmp_path / "out") == [".splatmem", "a"]

    def test_a_full_folder_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "keep").write_text("k")
        with pytest.raises(ValueError, match="is not empty"), staged_directory(tmp_path, "run"):
            pass
        assert names(tmp_path) == ["keep"]

    def test_overwrite_replaces_the_whole_folder(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        make_marked(out, "run")
        (out / "old").write_text("o")
        with staged_directory(out, "run", overwrite=True) as staged:
            (staged / "new").write_text("n")
            assert names(out) == [".splatmem", "old"]
        assert names(out) == [".splatmem", "new"]
        assert names(tmp_path) == ["out"]

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_an_error_leaves_the_old_folder(self, tmp_path: Path, error: type[BaseException]) -> None:
        out = tmp_path / "out"
        make_marked(out, "run")
        (out / "old").write_text("o")
        with pytest.raises(error), staged_directory(out, "run", overwrite=True) as staged:
            (staged / "new").write_text("n")
            raise error
        assert names(out) == [".splatmem", "old"]
        assert names(tmp_path) == ["out"]

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("")
        with pytest.raises(ValueError, match="must be a folder"), staged_directory(tmp_path / "out", "run"):
            pass

    def test_precious_folders_are_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        for folder in (tmp_path, tmp_path / "here", Path.home(), Path("/")):
            with pytest.raises(ValueError, match="working folder or the home folder"):
                with staged_directory(folder, "run", overwrite=True):
                    pass

    def test_unwritable_place_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match="cannot write into the folder"), staged_directory(tmp_path / "file" / "out", "run"):
            pass

    @pytest.mark.parametrize("kind", [None, "session"])
    def test_what_is_not_ours_is_never_replaced(self, tmp_path: Path, kind: str | None) -> None:
        out = tmp_path / "out"
        if kind:
            make_marked(out, kind)
        out.mkdir(exist_ok=True)
        (out / "letter").write_text("dear")
        with pytest.raises(ValueError, match="--overwrite would delete them"), staged_directory(out, "run", overwrite=True):
            pass
        assert (out / "letter").read_text() == "dear"
        assert names(tmp_path) == ["out"]

    def test_what_came_meanwhile_is_not_replaced(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        with pytest.raises(ValueError, match="is not empty"), staged_directory(out, "run") as staged:
            (staged / "new").write_text("n")
            out.mkdir()
            (out / "letter").write_text("dear")
        assert names(out) == ["letter"]
        assert names(tmp_path) == ["out"]

    def test_one_at_a_time(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        with staged_directory(out, "run"):
            with pytest.raises(ValueError, match=f"process {os.getpid()} is writing {out}"), staged_directory(out, "run"):
                pass
        assert names(out) == [".splatmem"]


def test_a_stranger_s_folder_where_the_old_one_would_go(tmp_path: Path) -> None:
    for name in ("out", "out.partial"):
        make_marked(tmp_path / name, "run")
    (tmp_path / "out.replaced").mkdir()
    (tmp_path / "out.replaced" / "letter").write_text("dear")
    with pytest.raises(ValueError, match=r"out\.replaced is in the way"):
        swap_in(tmp_path / "out.partial", tmp_path / "out", "run")
    assert names(tmp_path) == ["out", "out.partial", "out.replaced"]
    assert (tmp_path / "out.replaced" / "letter").read_text() == "dear"


@pytest.mark.skipif(os.name != "posix", reason="needs rights as POSIX has them")
@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_the_umask_decides_who_may_read(tmp_path: Path, umask: int) -> None:
    """Whatever rights the writer of a file gives it."""
    before = os.umask(umask)
    try:
        with staged_directory(tmp_path / "out", "run") as staged:
            (staged / "private").touch(mode=0o600)
            (staged / "open").touch()
            (staged / "open").chmod(0o777)
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("")
    finally:
        os.umask(before)
    files = [tmp_path / "out" / "private", tmp_path / "out" / "open", tmp_path / "a.txt"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o666 & ~umask}
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o777 & ~umask
