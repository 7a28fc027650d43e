"""Which folders are ours, and who works on one.

Every folder that is made carries a mark, a small file ``.splatmem`` that says what kind of folder it is. Only a marked folder
of the right kind, or an empty one, is ever moved or removed. Whoever makes a folder holds a lock beside it meanwhile.
"""

from __future__ import annotations

import errno
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from splatmem.io.names import beside

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

MARK = ".splatmem"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}


def make_marked(folder: Path, kind: str) -> None:
    """Makes a folder, or takes an empty one, and marks it.

    Args:
        kind: one word: ``run``, ``session``, ``evaluation``, ...

    Raises:
        ValueError: the folder holds something and carries no mark of this kind.
        OSError: it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if is_ours(folder, kind):
        return
    if not _is_bare(folder, kind):
        raise ValueError(f"the folder {folder} holds files that are not a {kind} of splatmem: choose another folder")
    (folder / MARK).write_text(_text(kind), encoding="utf-8")


def is_ours(folder: Path, kind: str) -> bool:
    """Whether ``folder`` is a folder, no link to one, and carries the mark of its kind."""
    mark = folder / MARK
    if folder.is_symlink() or mark.is_symlink() or not mark.is_file():
        return False
    with mark.open("rb") as content:
        return content.read(100) == _text(kind).encode()


def may_be_removed(folder: Path, kind: str) -> bool:
    """Whether ``folder`` carries the mark of its kind, or is a folder that holds nothing."""
    return is_ours(folder, kind) or (folder.is_dir() and not folder.is_symlink() and _is_bare(folder, kind))


def remove(folder: Path, kind: str) -> None:
    """Removes a folder that is ours; the mark goes last, so that what a killed process left of it can be recognised.

    Raises:
        ValueError: the folder carries no mark of this kind and is not empty.
    """
    if not may_be_removed(folder, kind):
        raise ValueError(f"{folder} is in the way and was not made by splatmem: move it or choose another folder")
    for entry in folder.iterdir():
        if entry.name != MARK:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    (folder / MARK).unlink(missing_ok=True)
    folder.rmdir()


def _is_bare(folder: Path, kind: str) -> bool:
    """Whether a folder is empty but for a mark that a killed process has not written to its end."""
    whole = _text(kind).encode()

    def begun(entry: Path) -> bool:
        if entry.name != MARK or entry.is_symlink() or not entry.is_file():
            return False
        with entry.open("rb") as content:
            return whole.startswith(content.read(100))

    return all(begun(entry) for entry in folder.iterdir())


def _text(kind: str) -> str:
    """What the mark of a folder says."""
    return f"splatmem {kind}\n"


def lock_file(folder: Path) -> Path:
    """The file beside ``folder`` on which the lock is held."""
    return beside(folder, ".", ".lock")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder that is to be made or changed. It ends with the process, however that ends.

    On file systems without locks (some network mounts) a warning says so, and nothing is held.

    Raises:
        ValueError: another process holds the lock; the message names it.
        OSError: the lock's file cannot be made.
    """
    folder = folder.resolve()
    file = lock_file(folder)
    missing = [parent for parent in file.parents if not parent.exists()]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(folder, file)
    except OSError as error:
        _remove_empty(missing)
        message = f"cannot write into the folder {file.parent}: {error.strerror}; choose a folder that you may write to"
        raise OSError(error.errno, message) from error
    try:
        yield
    finally:
        # Removed while it is held: who waits for it sees that its file is another one.
        with suppress(OSError):
            file.unlink(missing_ok=True)
        os.close(descriptor)
        _remove_empty(missing)


def _acquire(folder: Path, file: Path) -> int:
    """An open descriptor that holds the lock."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            held = _flock(descriptor)
            if held is None:
                warnings.warn(f"the file system of {folder} has no locks: start no second run on this folder", stacklevel=4)
            elif not held:
                process = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
                who = f"process {process}" if process.isdigit() else "another process"
                raise ValueError(f"{who} is writing {folder}: wait until it ends, or choose another folder")
            if held is None or _is_file_of(descriptor, file):
                with suppress(OSError):  # a full disk: then the lock is held without a name
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _flock(descriptor: int) -> bool | None:
    """Whether the lock is held now; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def _is_file_of(descriptor: int, file: Path) -> bool:
    """Whether an open file still has its name: the process that held the lock before removes it."""
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _remove_empty(folders: list[Path]) -> None:
    """Removes folders that were made for the lock's file and are empty, the innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
