"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from splatmem.io.home import home
from splatmem.io.names import beside
from splatmem.io.ownership import MARK, locked, make_marked, may_be_removed, remove

_WRITE_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ENOENT,
    errno.ENOTDIR, errno.EEXIST, errno.EBUSY, errno.EXDEV, errno.ENAMETOOLONG,
}  # fmt: skip

_TEMPORARY_NAME = re.compile(r"\..+\.[0-9a-f]{8}\.partial(\.\w+)?")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary name beside ``path``, with the same suffix, which replaces ``path`` when the block ends well.

    If the block raises, the temporary file is removed and what was at ``path`` before is untouched.

    Raises:
        OSError: the file cannot be written (full disk, no permission, no such folder); the message names the folder.
    """
    path = Path(path)
    temporary = _temporary(path, path.suffix)
    try:
        with _write_errors_name(path.parent, temporary):
            if not path.parent.is_dir():
                raise FileNotFoundError(errno.ENOENT, "no such folder", str(path.parent))
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
            _sync(path.parent)
    except BaseException:
        if path.parent.is_dir():
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def staged_directory(final: str | Path, kind: str, *, overwrite: bool = False) -> Iterator[Path]:
    """A folder to be filled, empty but for its mark, which becomes ``final`` when the block ends well.

    An existing ``final`` must be empty, or carry our mark and ``overwrite`` be set: then the old folder is moved aside at the
    end and removed after the new one has taken its place. If the block raises, the staged folder is removed and ``final`` is
    untouched. Meanwhile the lock of ``final`` is held.

    Args:
        kind: what the folder is, one word for its mark.

    Raises:
        ValueError: another process makes the same folder; or ``final`` is a file, is not empty, was not made by splatmem, or
            is a folder that cannot be replaced: the working folder, the home folder, one that contains them, or a mount point.
        OSError: nothing can be written there; the message names the folder.
    """
    final = Path(final).resolve()
    require_replaceable(final, kind, overwrite)
    parent = final.parent
    staged = _temporary(final)
    with locked(final):
        try:
            with _write_errors_name(parent, staged):
                make_marked(staged, kind)
                yield staged
                for file in staged.rglob("*"):
                    _follow_umask(file, staged)
                    _sync(file)
                require_replaceable(final, kind, overwrite)
                swap_in(staged, final, kind)
                _sync(parent)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise


def swap_in(staged: Path, final: Path, kind: str) -> None:
    """Puts a filled folder in the place of another, which disappears only once the new one is there.

    Raises:
        ValueError: ``final``, or what stands where it would be moved to, holds files and was not made by splatmem.
    """
    old = staged.with_suffix(".replaced")
    for folder in (old, final):
        if folder.exists() and not may_be_removed(folder, kind):
            raise ValueError(f"{folder} is in the way and was not made by splatmem: move it or choose another folder")
    if final.exists():
        if old.exists():
            remove(old, kind)  # left by a process that was killed here
        os.rename(final, old)
    try:
        os.rename(staged, final)
    except BaseException:
        if old.exists():
            os.rename(old, final)
        raise
    if old.exists():
        remove(old, kind)


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files and folders of ``atomic_path`` and ``staged_directory`` that a killed process left."""
    for entry in folder.iterdir():
        if _TEMPORARY_NAME.fullmatch(entry.name):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _temporary(path: Path, suffix: str = "") -> Path:
    """A name beside ``path`` that nobody has; ``suffix``, if it is that of ``path``, stays at the end."""
    return beside(path.with_suffix("") if suffix else path, ".", f".{secrets.token_hex(4)}.partial{suffix}")


def require_replaceable(final: Path, kind: str, overwrite: bool) -> None:
    """Raises ``ValueError`` for a folder that must not be replaced whole by one of this kind."""
    if not final.exists():
        return
    if not final.is_dir():
        raise ValueError(f"{final} must be a folder, but it is a file; choose another name")
    if not overwrite and any(final.iterdir()):
        raise ValueError(f"the folder {final} is not empty; choose another one or ask to overwrite it")
    if any(final == folder or final in folder.parents for folder in (Path.cwd(), home()) if folder is not None):
        raise ValueError(f"the folder {final} holds the working folder or the home folder; choose a folder inside it")
    if os.path.ismount(final):
        raise ValueError(f"the folder {final} is a mount point and cannot be replaced whole; choose a folder inside it")
    if not may_be_removed(final, kind):
        raise ValueError(
            f"{final} holds files that are not a finished {kind} of splatmem (no {MARK} says so): --overwrite would delete them"
        )


def _follow_umask(file: Path, folder: Path) -> None:
    """Gives a file the rights that the umask left its folder: some writers (safetensors) let nobody else read."""
    wanted = folder.stat().st_mode & 0o666
    if os.name == "posix" and file.is_file() and stat.S_IMODE(file.stat().st_mode) != wanted:
        file.chmod(wanted)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _write_errors_name(folder: Path, temporary: Path) -> Iterator[None]:
    """Turns the many ways in which a write fails into one ``OSError`` that names the folder.

    Some writers (numpy's ``tofile``) raise ``OSError`` without a number on a full disk. Errors about files elsewhere
    pass unchanged.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.errno not in _WRITE_ERRORS:
            raise
        if error.filename is not None and not _concerns(Path(os.fsdecode(error.filename)), folder, temporary):
            raise
        reason = error.strerror or str(error)
        message = f"cannot write into the folder {folder}: {reason}; free space there or choose another folder"
        raise OSError(error.errno or errno.EIO, message) from error


def _concerns(path: Path, folder: Path, temporary: Path) -> bool:
    return path in (folder, temporary) or path in folder.parents or temporary in path.parents
