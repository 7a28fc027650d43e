"""Fetches what tools/render_rooms.py composes rooms from: furniture, textures, photographs, panoramas (about 600 MB on disk).

Everything comes as published packages: Debian's sweethome3d, sweethome3d-furniture (models: CC-BY, CC0, GPL by library) and
three sets of wallpapers, PyPI's miniworld (textures, Apache-2.0), npm's @pmndrs/assets (panoramas, CC0). Needs apt-get (with
its lists up to date), dpkg, npm, pip and the project's extra `train`. A step that is already done is skipped.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

WALLPAPER_PACKAGES = ("lomiri-wallpapers-16.04", "mate-backgrounds", "plasma-workspace-wallpapers")
LIBRARIES = ("Scopia", "BlendSwap-CC-0", "BlendSwap-CC-BY", "KatorLegaz", "Reallusion")
PROGRAM_LIBRARY = "eTeks"
PROGRAM_RESOURCES = "com/eteks/sweethome3d/io/"
MINIWORLD = "miniworld==2.1.0"
PANORAMAS = "@pmndrs/assets@1.7.0"
MIN_PHOTO_BYTES = 60_000


@dataclass
class Options:
    """Where to put the sources of the rooms."""

    data: Path = Path("out/rooms-data")
    """Folder to fill."""


def main(options: Options) -> None:
    options.data.mkdir(parents=True, exist_ok=True)
    fill_folder(options.data / "furniture", fetch_furniture)
    fill_folder(options.data / "textures", lambda folder: fetch_textures(folder, options.data / "furniture"))
    fill_folder(options.data / "photos", fetch_photos)
    fill_folder(options.data / "panoramas", fetch_panoramas)


def fill_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Runs ``fill`` on a temporary folder and puts that in place once it is whole."""
    if folder.exists():
        print(f"{folder}: already there")
        return
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        filled = Path(temporary) / folder.name
        filled.mkdir()
        fill(filled)
        os.replace(filled, folder)
    print(f"{folder}: {sum(1 for path in folder.rglob('*') if path.is_file())} files")


def fetch_furniture(folder: Path) -> None:
    """Five furniture libraries, and the hundred models inside the program's own archive."""
    with tempfile.TemporaryDirectory() as temporary:
        unpacked = unpack_debian_packages(Path(temporary), "sweethome3d", "sweethome3d-furniture")
        archives = {_plain(path.stem): path for path in unpacked.rglob("*.sh3f")}
        for library in LIBRARIES:
            zipfile.ZipFile(archives[_plain(library)]).extractall(folder / library)
        for path in unpacked.rglob("*.jar"):
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.startswith(PROGRAM_RESOURCES)]
                archive.extractall(folder / PROGRAM_LIBRARY, names)


def _plain(name: str) -> str:
    """Letters and digits only: archives spell the libraries' names with and without hyphens."""
    return re.sub("[^a-z0-9]", "", name.lower())


def fetch_textures(folder: Path, furniture: Path) -> None:
    """Textures of floors and walls, from the furniture program and from miniworld."""
    for path in (furniture / PROGRAM_LIBRARY / PROGRAM_RESOURCES / "resources/textures").glob("*.jpg"):
        shutil.copy(path, folder / path.name)
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", temporary, MINIWORLD]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(Path(temporary).glob("*.whl"))) as wheel:
            for name in wheel.namelist():
                if re.fullmatch(r"miniworld/textures/[^/]+\.png", name):
                    (folder / Path(name).name).write_bytes(wheel.read(name))


def fetch_photos(folder: Path) -> None:
    """One photograph of each wallpaper, in its largest size."""
    with tempfile.TemporaryDirectory() as temporary:
        unpacked = unpack_debian_packages(Path(temporary), *WALLPAPER_PACKAGES)
        for path in sorted(unpacked.rglob("*.jpg"), key=lambda path: path.stat().st_size):
            if path.is_symlink() or path.stem == "screenshot" or path.stat().st_size < MIN_PHOTO_BYTES:
                continue
            # Plasma keeps <name>/contents/images/<width>x<height>.jpg; the others one file each.
            name = path.parents[2].name if path.parent.parent.name == "contents" else path.stem
            shutil.copy(path, folder / f"{name}.jpg")


def fetch_panoramas(folder: Path) -> None:
    """Panoramas in linear light, as half floats; they come as OpenEXR files inside JavaScript modules."""
    import OpenEXR

    with tempfile.TemporaryDirectory() as temporary:
        subprocess.run(["npm", "pack", "--silent", PANORAMAS], cwd=temporary, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(temporary).glob("*.tgz"))) as archive:
            archive.extractall(temporary, filter="data")
        for module in sorted(Path(temporary).glob("package/hdri/*.exr.js")):
            match = re.search(r"base64,([^'\"]+)", module.read_text())
            if match is None:
                raise ValueError(f"{module.name}: expected an OpenEXR file in base64, found none; the package has changed")
            image = Path(temporary) / "panorama.exr"
            image.write_bytes(base64.b64decode(match[1]))
            channels = OpenEXR.File(str(image)).channels()
            pixels = channels["RGB"].pixels if "RGB" in channels else np.stack([channels[c].pixels for c in "RGB"], -1)
            np.save(folder / f"{module.name.split('.')[0]}.npy", pixels.astype(np.float16))


def unpack_debian_packages(folder: Path, *packages: str) -> Path:
    """Downloads packages and unpacks them below ``folder`` without installing them."""
    subprocess.run(["apt-get", "download", "-qq", *packages], cwd=folder, check=True)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder / "unpacked"], check=True)
    return folder / "unpacked"


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"fetch_scenes: {error}")
