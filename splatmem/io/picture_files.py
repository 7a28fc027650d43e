"""Finding pictures by the names that scene files have for them, which other machines wrote."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

PICTURE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".jp2", ".bmp", ".gif", ".ppm"),
    *(".heic", ".heif"),
)


def find_picture(folder: Path, name: str) -> Path | None:
    """The file that a scene file in ``folder`` means.

    Backslashes separate folders too; a whole path of another machine is looked for by its last parts; the suffix may be left
    out, as in NeRF's synthetic scenes; capital and small letters are the same where there is nothing else.
    """
    if not name or "\0" in name:
        return None
    written = PureWindowsPath(name) if "\\" in name else PurePosixPath(name)
    parts = [part for part in written.as_posix().split("/") if part not in ("", ".")]
    if not parts:
        return None
    absolute = written.is_absolute() or PureWindowsPath(name).drive != ""
    places = [folder / Path(*parts)]
    if absolute:
        places = [Path(name), *(folder / Path(*parts[start:]) for start in range(1, len(parts)))]
    return next((found for place in places if (found := _existing(place)) is not None), None)


def _existing(place: Path) -> Path | None:
    """The file at a place, or else the one there with a picture's suffix or with other capitals."""
    try:
        if place.is_file():
            return place
        beside = sorted(place.parent.iterdir()) if place.parent.is_dir() else []
    except OSError:  # a name that no file can have
        return None
    wanted = place.name.casefold()
    same = [file for file in beside if file.name.casefold() == wanted]
    named = [file for file in beside if file.stem.casefold() == wanted and file.suffix.lower() in PICTURE_SUFFIXES]
    order = {suffix: index for index, suffix in enumerate(PICTURE_SUFFIXES)}
    named.sort(key=lambda file: order[file.suffix.lower()])
    return next((file for file in [*same, *named] if file.is_file()), None)
