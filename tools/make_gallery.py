"""Makes the gallery, docs/gallery.md with its film strips, and the README's two pictures, from photos with known licences.

A list in YAML names the photos::

    - file: Wood.jpg                # below --photos
      title: Planks by a lake
      author: Jane Doe
      licence: CC-BY-4.0
      source: Debian's package mate-backgrounds 1.26.0
      path: arc                     # optional: arc

    python tools/make_gallery.py docs/gallery.yaml --photos FOLDER
    python tools/make_gallery.py --readme

Each photo becomes a film by the command that stands below its strip; frames of the strip are evenly spread over the film.
Photos are not copied: the strip's first tile is the photo as the film shows it.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from splatmem import assets
from splatmem.io.video import read_video

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "gallery.md"
IMAGES = PROJECT / "docs" / "images"
STRIP_FRAMES, STRIP_WIDTH = 5, 1280  # pixels
MAX_BYTES = 80_000  # of a strip
BEGINNING = """# Gallery

Each strip is one film from one photo, with the models that come with the package and no choice among seeds: five frames, evenly
spread. The first is the photo. Seconds are those of the whole command on {machine}.
"""


@dataclass(frozen=True)
class Exhibit:
    """A photo of the gallery: the file's name below the folder of photos, who made it, and the film's path."""

    file: str
    title: str
    author: str
    licence: str
    source: str
    path: str = "arc"

    @property
    def name(self) -> str:
        """For files: letters, digits and lines."""
        return "".join(c if c.isalnum() else "-" for c in Path(self.file).stem.lower())


def make_film(photo: Path, out: Path, *options: str) -> float:
    """Runs the command; returns its seconds."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "splatmem", "flyaround", str(photo), "--out", str(out), "--quiet", *options]
    subprocess.run(command, check=True, cwd=PROJECT)
    return time.perf_counter() - began


def film_strip(video: Path, frames: int = STRIP_FRAMES, width: int = STRIP_WIDTH) -> Image.Image:
    """Evenly spread frames of a film side by side, the first of the film first."""
    film = read_video(video)
    chosen = film[[round(i * len(film) / frames) for i in range(frames)]]
    tile = width // frames
    height = round(tile * film.shape[1] / film.shape[2])
    tiles = [np.asarray(Image.fromarray(frame).resize((tile, height), Image.Resampling.LANCZOS)) for frame in chosen]
    return Image.fromarray(np.concatenate(tiles, axis=1))


def save_jpeg(picture: Image.Image, file: Path, max_bytes: int) -> None:
    """Saves at the best quality that keeps the file within ``max_bytes``."""
    for quality in range(92, 30, -4):
        picture.convert("RGB").save(file, quality=quality, optimize=True)
        if file.stat().st_size <= max_bytes:
            return


def entry(exhibit: Exhibit, seconds: float, options: tuple[str, ...]) -> str:
    """The gallery's text about one film."""
    words = shlex.join(["splatmem", "flyaround", Path(exhibit.file).name, "--out", exhibit.name, *options])
    return (
        f"## {exhibit.title}\n\n![Five frames of the film](images/gallery/{exhibit.name}.jpg)\n\n    {words}\n\n"
        f"{seconds:.0f} s. Photo: {exhibit.author}, {exhibit.licence}, from {exhibit.source}; cropped.\n"
    )


def make_gallery(listed: Path, photos: Path, size: str, seconds: float, machine: str) -> None:
    folder = IMAGES / "gallery"
    folder.mkdir(exist_ok=True)
    exhibits = [Exhibit(**values) for values in yaml.safe_load(listed.read_text(encoding="utf-8"))]
    texts = []
    for exhibit in exhibits:
        photo = next(photos.rglob(exhibit.file), None)
        if photo is None:
            raise SystemExit(f"{exhibit.file} is not below {photos}; it is part of {exhibit.source}")
        options = ("--path", exhibit.path, "--seconds", f"{seconds:g}", "--size", size)
        with tempfile.TemporaryDirectory() as temporary:
            took = make_film(photo, Path(temporary) / "film", *options)
            save_jpeg(film_strip(Path(temporary) / "film" / "video.mp4"), folder / f"{exhibit.name}.jpg", MAX_BYTES)
        texts.append(entry(exhibit, took, options))
        print(f"{exhibit.title}: {took:.0f} s", flush=True)
        page = [BEGINNING.format(machine=machine), *texts, f"\nMade by `python tools/make_gallery.py {listed.name}`.\n"]
        PAGE.write_text("\n".join(page), encoding="utf-8")


def make_readme_pictures(which: str) -> None:
    """docs/images/move.jpg, a small camera move, and docs/images/turn.jpg, the contact sheet of the turn."""
    photo = assets.path("photos/interior_table.jpg")
    with tempfile.TemporaryDirectory() as temporary:
        if which in ("move", "both"):
            make_film(photo, Path(temporary) / "move", "--path", "arc")
            save_jpeg(film_strip(Path(temporary) / "move" / "video.mp4"), IMAGES / "move.jpg", 160_000)
        if which in ("turn", "both"):
            make_film(photo, Path(temporary) / "turn", "--path", "turn")
            with Image.open(Path(temporary) / "turn" / "contact_sheet.png") as sheet:
                save_jpeg(sheet, IMAGES / "turn.jpg", 400_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path, nargs="?", help="the photos, in YAML")
    parser.add_argument("--photos", type=Path, default=PROJECT / "assets", help="the folder below which the photos lie")
    parser.add_argument("--size", default="384x216", help="of the films (default: 384x216)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of the films (default: 2)")
    parser.add_argument("--machine", default="two cores of a server", help="in words, for the page")
    parser.add_argument(
        "--readme", choices=["move", "turn", "both"], nargs="?", const="both", help="the README's pictures instead"
    )
    options = parser.parse_args()
    if options.readme:
        make_readme_pictures(options.readme)
    elif options.list is None:
        parser.error("give the list of photos, or --readme")
    else:
        make_gallery(options.list, options.photos, options.size, options.seconds, options.machine)


if __name__ == "__main__":
    main()
