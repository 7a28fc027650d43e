"""Files on this machine, and those that fsspec reads and writes (s3://, gs://, https://, memory://, ...). Needs no PyTorch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from splatmem.io.home import expanded

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|[a-z0-9]+::")  # not C:\


def is_url(place: str | Path) -> bool:
    return isinstance(place, str) and URL.match(place) is not None


def without_file_scheme(place: str) -> str:
    """``file:///a/b`` as ``/a/b``; other places as they are."""
    return place[len("file://") :] if place.startswith("file://") else place


def opened_by_fsspec(url: str) -> tuple[Any, str]:
    """fsspec's file system of a URL, and the path there.

    Raises:
        ValueError: the protocol is unknown, or what it needs is not installed; the message says what to install.
    """
    import fsspec

    try:
        return fsspec.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{url}: {error}") from error


def joined(folder: str, name: str) -> str:
    """A file of a folder, which may be a URL; a name that is a whole path or a URL stays as it is."""
    if is_url(name):
        return without_file_scheme(name)
    if is_url(folder) and not Path(name).is_absolute():
        return f"{folder.rstrip('/')}/{name}"
    return str(Path(folder) / expanded(name))


def fetched(url: str, folder: Path) -> Path:
    """A copy of a file or folder of a URL below ``folder``, under its own name.

    Raises:
        FileNotFoundError: there is nothing.
        OSError: it cannot be read.
    """
    system, path = opened_by_fsspec(url)
    target = folder / Path(path.rstrip("/")).name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if system.isdir(path):
            system.get(path.rstrip("/") + "/", str(target), recursive=True)
        else:
            system.get_file(path, str(target))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no {url}") from error
    except (OSError, ValueError):
        raise
    except Exception as error:  # libraries of buckets have exceptions of their own
        raise OSError(f"cannot read {url}: {type(error).__name__}: {error}") from error
    return target
