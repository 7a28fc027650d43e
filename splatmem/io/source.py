"""What a run begins with: a photo, posed pictures of a scene, or words."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.io.panorama import cut_panorama, recognised
from splatmem.io.photo import photo_from, read_photo
from splatmem.io.picture_files import PICTURE_SUFFIXES
from splatmem.io.posed import load_posed_folder, load_posed_video

MOST_PICTURES = 64  # of a scene or a video; more of them add little that is new
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")


@dataclass(frozen=True)
class Source:
    """Pictures at the film's size.

    Attributes:
        name: for the report.
        rgb: sRGB in 0..1, ``[n, h, w, 3]``.
        fov_x_degrees: of a single picture, where it is known.
        cameras: that took them, in their own world and unit; None for a single picture.
        notes: sentences for the report.
        usable: pixels that may be written, ``[n, h, w]``; None: all.
        one_picture: whether all are views of one panorama.
    """

    name: str
    rgb: Float[Tensor, "n h w 3"]
    fov_x_degrees: float | None = None
    cameras: Cameras | None = None
    notes: list[str] = field(default_factory=list)
    usable: Bool[Tensor, "n h w"] | None = None
    one_picture: bool = False


def read_source(source: Path, poses: Path | None, width: int, height: int, fov_x_degrees: float | None) -> Source:
    """Reads what a run begins with.

    Args:
        source: a photo; a panorama of a whole turn, which becomes views of it; a folder with a transforms.json or a COLMAP
            model and its pictures, or that transforms.json; or a video.
        poses: of a video, one for each of its frames: a transforms.json, a COLMAP model or a TUM trajectory.
        width, height: of the film; pictures of another shape are cropped to it.
        fov_x_degrees: of posed pictures whose file does not tell it.

    Raises:
        ValueError: it is none of these, or a file of it is missing or damaged; the message names it.
        FileNotFoundError: there is no such photo.
    """
    one_picture = False
    if poses is not None:
        if source.is_dir() or source.suffix.lower() in PICTURE_SUFFIXES:
            kind = "a folder, whose cameras lie in it" if source.is_dir() else "a picture"
            raise ValueError(f"{source} is {kind}: --poses are those of a video")
        if not poses.exists():
            raise ValueError(f"--poses {poses}: there is no such file")
        posed = load_posed_video(source, poses, width=width, height=height, fov_x_degrees=fov_x_degrees, most=MOST_PICTURES)
    elif source.is_dir() or (source.suffix.lower() == ".json" and source.is_file()):
        posed = load_posed_folder(source, width=width, height=height, fov_x_degrees=fov_x_degrees, most=MOST_PICTURES)
    elif source.suffix.lower() in VIDEO_SUFFIXES and source.is_file():
        raise ValueError(f"{source} is a video: give --poses FILE with a camera for each of its frames")
    else:
        picture = read_photo(source)
        sphere, said = recognised(picture, source.name)
        if sphere is None:
            photo = photo_from(picture, source.name, width, height)
            return Source(photo.name, photo.rgb[None], photo.fov_x_degrees, notes=[*photo.notes, *said])
        posed, one_picture = cut_panorama(picture, sphere, said, width, height, fov_x_degrees), True
    notes = [*posed.notes]
    if posed.offered > len(posed.rgb):
        notes.append(f"{len(posed.rgb)} of the {posed.offered} pictures were taken, evenly spread")
    return Source(source.resolve().name, posed.rgb, None, posed.cameras, notes, posed.usable, one_picture)
