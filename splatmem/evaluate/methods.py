"""The methods that are compared, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from splatmem.config import Config
from splatmem.evaluate.film import Film, film_of_photo, film_with_memory, film_without_memory
from splatmem.inpaint import VideoInpainter, load_inpainter

MODEL = "embedded"
ABLATION = "no_memory"
PHOTO = "photo_alone"
FILLERS = ("telea", "navier_stokes", "push_pull", "smear", "patchmatch")
ALL = (MODEL, *FILLERS, ABLATION)
METHODS = (*ALL, PHOTO)
"""``embedded``: the preset's own inpainter in the loop; the fillers: the same loop with a classical filler; ``no_memory``: the
preset's own inpainter without the memory; ``photo_alone``: nothing is made."""

MakeFilm = Callable[..., Film]


def parse_methods(text: str) -> tuple[str, ...]:
    """``all`` (but ``photo_alone``), or names separated by commas, in the order of ``METHODS``.

    Raises:
        ValueError: a name is unknown, or there is none.
    """
    if text == "all":
        return ALL
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in METHODS]
    if unknown or not wanted:
        raise ValueError(f"--methods expects all, or some of {','.join(METHODS)}; got {text!r}")
    return tuple(name for name in METHODS if name in wanted)


def load_methods(names: Sequence[str], config: Config, device: str) -> dict[str, tuple[MakeFilm, VideoInpainter | None]]:
    """For each method how its films are made and by which inpainter; the preset's is loaded once.

    Raises:
        ValueError: a library or a model that one of them needs is missing.
    """
    loaded: dict[str, tuple[MakeFilm, VideoInpainter | None]] = {}
    if MODEL in names or ABLATION in names:
        model = load_inpainter(config.inpainter, device=device, hardware=config.hardware)
        loaded = {MODEL: (film_with_memory, model), ABLATION: (film_without_memory, model)}
    for name in FILLERS:
        if name in names:
            loaded[name] = (film_with_memory, load_inpainter(name.replace("_", "-")))
    if PHOTO in names:
        loaded[PHOTO] = (film_of_photo, None)
    return {name: loaded[name] for name in names}
