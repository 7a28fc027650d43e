"""Loads models, with one kind of error for everything that can be wrong with their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError

from splatmem.io.home import expanded
from splatmem.models.check import problems
from splatmem.models.locate import download_command, model_folder
from splatmem.models.main_memory import is_out_of_memory

Loaded = TypeVar("Loaded")
ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError)


def load_model(
    source: str,
    what: str,
    load: Callable[[Path], Loaded],
    *,
    variant: str | None = None,
    without: Sequence[str] = (),
) -> Loaded:
    """Finds the folder of a model, makes sure that it is whole, and loads it.

    Args:
        source: a local folder or a hub id.
        what: the model's part, for messages.
        load: from the folder, with safetensors only and no code from it; ``quiet`` where libraries do it.
        variant: of the weights, where a pipeline offers several.
        without: parts of a pipeline whose weights come from elsewhere.

    Raises:
        ValueError: there is no such model, it is not whole, or it cannot be loaded; the message says what to do.
        RuntimeError, MemoryError: it is whole, and the device has too little memory for it.
    """
    folder = whole_folder(source, what, variant=variant, without=without)
    try:
        return load(folder)
    except ImportError as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(f"the {what} in {folder} needs a package that is not installed: {error}") from error
    except ERRORS as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(f"no {what} can be loaded from {folder}: {error}") from error


def whole_folder(source: str, what: str, *, variant: str | None = None, without: Sequence[str] = ()) -> Path:
    """The folder of a model, with nothing missing in it; see ``load_model``."""
    folder = model_folder(source, what, variant=variant)
    wrong = problems(folder, without)
    if wrong:
        local = expanded(source).is_dir()
        again = "" if local else f"; fetch it again: {download_command(source, variant)}"
        raise ValueError(f"the {what} in {folder} is not whole: {'; '.join(wrong)}{again}")
    return folder


@contextmanager
def quiet() -> Iterator[None]:
    """Turns off the progress bars and log messages of diffusers and transformers, which would disturb the program's own."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    loggings = (diffusers_logging, transformers_logging)
    levels = [library.get_verbosity() for library in loggings]
    for library in loggings:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, level in zip(loggings, levels, strict=True):
            library.set_verbosity(level)
            library.enable_progress_bar()
