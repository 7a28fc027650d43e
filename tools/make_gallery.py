"""Makes the gallery, docs/gallery.md with its film strips, and the pictures of the README and the tutorial, from photos with
known licences.

A list in YAML names the photos::

    - file: Wood.jpg                # below --photos
      title: Planks by a lake
      author: Jane Doe
      licence: CC-BY-4.0
      source: mate-backgrounds      # Debian's package; lomiri-wallpapers-16.04 if not given
      path: dolly                   # spiral if not given
      viewer: true                  # a page to look around in beside its strip, a third of a megabyte; false if not given

    python tools/make_gallery.py docs/gallery.yaml --photos FOLDER
    python tools/make_gallery.py --readme --photos FOLDER   # without the folder all but that of the dandelions

Each photo becomes a film, as by the command that stands below its strip; frames of the strip are evenly spread over the film.
Photos are not copied: the strip's first tile is the photo as the film shows it.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import splatmem as sm
import yaml
from PIL import Image
from splatmem import assets
from splatmem.io.pictures import open_picture
from splatmem.io.video import read_video
from splatmem.jobs.edit import change
from splatmem.jobs.edit_options import CompactOptions
from splatmem.jobs.option_types import parse_size

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "gallery.md"
IMAGES = PROJECT / "docs" / "images"
STRIP_FRAMES, STRIP_WIDTH, GAP = 5, 1280, 3  # pixels
MAX_BYTES = 80_000  # of a strip
BEGINNING = """# Gallery

Each strip is one film from one photo, with the models that come with the package and no choice among seeds: five frames, evenly
spread. The first is the photo. The command leaves a `scene.html` in its folder, which shows the scene in any browser; the first
of them stands here. Seconds are those of the film on {machine}, without the few that the models take to load.
"""


@dataclass(frozen=True)
class Exhibit:
    """A photo of the gallery: its name below the folder of photos, who made it, Debian's package of it, the film's path, and
    whether there is a page to look around in its scene."""

    file: str
    title: str
    author: str
    licence: str
    source: str = "lomiri-wallpapers-16.04"
    path: str = "spiral"
    viewer: bool = False

    @property
    def name(self) -> str:
        """For files: letters, digits and lines."""
        return "".join(c if c.isalnum() else "-" for c in Path(self.file).stem.lower())


class Films:
    """Makes films as ``splatmem flyaround`` does, with the embedded models loaded once."""

    def __init__(self) -> None:
        self.models: dict[str, Any] = {
            "inpainter": sm.load_inpainter("embedded"),
            "depth": sm.load_depth_estimator("embedded"),
        }

    def __call__(self, photo: Path, out: Path, **options: Any) -> dict[str, Any]:
        """The report of the film that was made in ``out``."""
        return sm.flyaround(photo=photo, out=out, **options, **self.models)


def film_strip(video: Path, frames: int = STRIP_FRAMES, width: int = STRIP_WIDTH) -> Image.Image:
    """Evenly spread frames of a film side by side, the first of the film first."""
    film = read_video(video)
    chosen = film[[round(i * len(film) / frames) for i in range(frames)]]
    tile = width // frames
    height = round(tile * film.shape[1] / film.shape[2])
    tiles = [np.array(Image.fromarray(frame).resize((tile, height), Image.Resampling.LANCZOS)) for frame in chosen]
    for left in tiles[:-1]:
        left[:, -GAP:] = 255
    return Image.fromarray(np.concatenate(tiles, axis=1))


def save_jpeg(picture: Image.Image, file: Path, max_bytes: int) -> None:
    """Saves at the best quality that keeps the file within ``max_bytes``."""
    for quality in range(92, 30, -4):
        picture.convert("RGB").save(file, quality=quality, optimize=True)
        if file.stat().st_size <= max_bytes:
            return


def save_loop(frames: np.ndarray, file: Path, *, width: int, fps: float, max_bytes: int) -> None:
    """Saves a film as a picture that moves, over and over, at the best quality that keeps the file within ``max_bytes``.

    Args:
        frames: 0..255, ``[t, h, w, 3]``.
        file: ends in .webp.
    """
    height = round(width * frames.shape[1] / frames.shape[2])
    first, *others = (Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS) for frame in frames)
    for quality in range(80, 30, -10):
        first.save(file, save_all=True, append_images=others, duration=round(1000 / fps), loop=0, quality=quality, method=4)
        if file.stat().st_size <= max_bytes:
            return


def entry(exhibit: Exhibit, report: dict[str, Any]) -> str:
    """The gallery's text about one film."""
    width, height = report["size"]
    command = shlex.join(["splatmem", "flyaround", Path(exhibit.file).name, "--out", exhibit.name])
    options = shlex.join(["--path", exhibit.path, "--frames", str(report["frames"]), "--size", f"{width}x{height}"])
    figures = (
        f"{report['seconds']['total']:.0f} s, {report['gaussians']:,} Gaussians; photo kept at {report['photo_psnr']:.1f} dB"
    )
    credit = f"Photo: {exhibit.author}, {exhibit.licence}, from Debian's package {exhibit.source}; cropped"
    page, made = f"images/gallery/{exhibit.name}.html", "strip and the page have" if exhibit.viewer else "strip has"
    viewer = f"[Look around in this scene]({page}), made smaller by `splatmem compact`.\n\n" if exhibit.viewer else ""
    return (
        f"## {exhibit.title}\n\n![Five frames of the film](images/gallery/{exhibit.name}.jpg)\n\n"
        f"    {command} \\\n        {options}\n\n{viewer}"
        f"{figures}. {credit}. The {made} the photo's licence.\n"
    )


def make_gallery(listed: Path, photos: Path, size: tuple[int, int], frames: int, machine: str) -> None:
    """Makes the strips and the page, which has all that is finished after each film."""
    folder = IMAGES / "gallery"
    folder.mkdir(exist_ok=True)
    exhibits = [Exhibit(**values) for values in yaml.safe_load(listed.read_text(encoding="utf-8"))]
    texts, make_film = [], Films()
    for exhibit in exhibits:
        photo = next(photos.rglob(exhibit.file), None)
        if photo is None:
            raise SystemExit(f"{exhibit.file} is not below {photos}; it is part of {exhibit.source}")
        with tempfile.TemporaryDirectory() as temporary:
            report = make_film(photo, Path(temporary) / "film", path=exhibit.path, size=size, frames=frames)
            save_jpeg(film_strip(Path(temporary) / "film" / "video.mp4"), folder / f"{exhibit.name}.jpg", MAX_BYTES)
            if exhibit.viewer:
                change(CompactOptions(scene=Path(temporary) / "film", out=Path(temporary) / "small"))
                shutil.copy(Path(temporary) / "small" / "scene.html", folder / f"{exhibit.name}.html")
        texts.append(entry(exhibit, report))
        print(f"{exhibit.title}: {report['seconds']['total']:.0f} s", flush=True)
        page = [
            BEGINNING.format(machine=machine),
            *texts,
            f"Made by `python tools/make_gallery.py docs/{listed.name} --photos FOLDER`.\n",
        ]
        PAGE.write_text("\n".join(page), encoding="utf-8")


def make_readme_pictures(photos: Path) -> None:
    """Of docs/images: dandelions.webp and move.webp, small camera moves, which play; turn.jpg, the contact sheet of a turn."""
    table, make_film = assets.path("photos/interior_table.jpg"), Films()
    dandelions = next(photos.rglob("seeding_by_Clements_Engelhardt.jpg"), None)
    moves = {"move": table} if dandelions is None else {"move": table, "dandelions": dandelions}
    with tempfile.TemporaryDirectory() as temporary:
        for name, photo in moves.items():
            make_film(photo, Path(temporary) / name, path="spiral", size=(960, 540), frames=96)
            film = read_video(Path(temporary) / name / "video.mp4")
            save_loop(film[::2], IMAGES / f"{name}.webp", width=800, fps=12, max_bytes=900_000)
        make_film(table, Path(temporary) / "turn", path="turn", frames=96)
        with open_picture(Path(temporary) / "turn" / "contact_sheet.png") as sheet:
            save_jpeg(sheet, IMAGES / "turn.jpg", 400_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path, nargs="?", help="the photos, in YAML")
    parser.add_argument("--photos", type=Path, default=PROJECT / "assets", help="the folder below which the photos lie")
    parser.add_argument("--size", type=parse_size, default=(256, 144), help="of the films (default: 256x144)")
    parser.add_argument("--frames", type=int, default=48, help="of each film (default: 48)")
    parser.add_argument("--machine", default="two cores of a server", help="in words, for the page")
    parser.add_argument("--readme", action="store_true", help="the pictures of the README and the tutorial instead")
    options = parser.parse_args()
    if options.readme:
        make_readme_pictures(options.photos)
    elif options.list is None:
        parser.error("give the list of photos, or --readme")
    else:
        make_gallery(options.list, options.photos, options.size, options.frames, options.machine)


if __name__ == "__main__":
    main()
