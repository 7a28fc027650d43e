"""The methods that are compared: how each makes its films, and by which inpainter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from splatmem.config import Config
from splatmem.evaluation.film import Film, film_of_photo, film_with_memory, film_without_memory
from splatmem.evaluation.names import ABLATION, FILLERS, OURS, PHOTO
from splatmem.inpaint import VideoInpainter, load_inpainter

MakeFilm = Callable[..., Film]


def load_methods(
    names: Sequence[str], config: Config, device: str, own: Mapping[str, VideoInpainter] | None = None
) -> dict[str, tuple[MakeFilm, VideoInpainter | None]]:
    """For each method how its films are made and by which inpainter; the preset's is loaded once.

    Args:
        names: of the methods.
        config: of the preset.
        device: where models run.
        own: a user's inpainters by name, which are put into the same loop.

    Raises:
        ValueError: a library or a model that one of them needs is missing.
    """
    loaded: dict[str, tuple[MakeFilm, VideoInpainter | None]] = {}
    if OURS in names or ABLATION in names:
        model = load_inpainter(config.inpainter, device=device, hardware=config.hardware)
        loaded = {OURS: (film_with_memory, model), ABLATION: (film_without_memory, model)}
    for name in FILLERS:
        if name in names:
            loaded[name] = (film_with_memory, load_inpainter(name.replace("_", "-")))
    if PHOTO in names:
        loaded[PHOTO] = (film_of_photo, None)
    own = own or {}
    return {
        **{name: loaded[name] for name in names},
        **{name: (film_with_memory, inpainter) for name, inpainter in own.items()},
    }
