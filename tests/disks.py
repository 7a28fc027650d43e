"""File systems that refuse to be written to: full, or read-only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of ``size`` bytes, mounted on a new folder; the test is skipped where nothing can be mounted."""
    folder.mkdir()
    _mount(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def enlarge(disk: Path, size: int) -> None:
    """Frees space on a ``small_disk``."""
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


@contextmanager
def read_only_folder(folder: Path) -> Iterator[Path]:
    """A folder in which nobody may write, root neither."""
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(0o555)
        yield folder
        return
    _mount(folder, "-t", "tmpfs", "-o", "ro", "tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def _mount(folder: Path, *options: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a disk")
    done = subprocess.run(["mount", *options, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs a disk that can be mounted: {done.stderr.strip()}")
