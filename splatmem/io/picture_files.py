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
    parts = [part for part in written.parts if part != "."]
    if not parts:
        return None
    absolute = written.is_absolute() or PureWindowsPath(name).is_absolute()
    if not absolute:
        return _existing(folder, parts)
    starts = (_existing(folder, parts[start:]) for start in range(1, len(parts)))
    return next((found for found in (_existing(Path(written.anchor), parts[1:]), *starts) if found is not None), None)


def _existing(folder: Path, parts: list[str]) -> Path | None:
    """The file at a place below a folder, or else the one there with a picture's suffix or with other capitals."""
    if not parts:
        return None
    try:
        if (place := folder.joinpath(*parts)).is_file():
            return place
        beside = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError:  # a name that no file can have, or a folder that may not be read
        return None
    wanted = parts[0].casefold()
    if len(parts) > 1:
        below = [folder / parts[0]] if parts[0] == ".." else [file for file in beside if file.name.casefold() == wanted]
        return next((found for place in below if (found := _existing(place, parts[1:])) is not None), None)
    same = [file for file in beside if file.name.casefold() == wanted]
    named = [file for file in beside if file.stem.casefold() == wanted and file.suffix.lower() in PICTURE_SUFFIXES]
    named.sort(key=lambda file: PICTURE_SUFFIXES.index(file.suffix.lower()))
    return next((file for file in [*same, *named] if file.is_file()), None)
