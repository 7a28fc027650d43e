"""Finds the folder of a model, which is given as a local folder or a hub id."""

from __future__ import annotations

from pathlib import Path

from splatmem.home import expanded

KINDS_OF_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]  # weights, settings and tokenizers; nothing that is run


def model_folder(source: str, what: str, *, variant: str | None = None) -> Path:
    """The folder of a model: a local folder as given, or where the hub's cache holds an id. Nothing is downloaded.

    Args:
        source: the folder, or ``owner/name`` on the hub.
        what: the model's part, for messages: ``depth model``, say.
        variant: of the weights, where a pipeline offers several.

    Raises:
        ValueError: it is neither; the message holds the command that would fetch it.
    """
    folder = expanded(source)
    if folder.is_dir():
        return folder
    if not looks_like_hub_id(source):
        raise ValueError(f"there is no folder {source}: for the {what} give a local folder, or a hub id like owner/name")
    cached = cached_folder(source)
    if cached is not None:
        return cached
    raise ValueError(
        f"the {what} {source!r} is neither a local folder nor in the cache. "
        f"With a network, run: {download_command(source, variant)}; without, give a local folder."
    )


def looks_like_hub_id(source: str) -> bool:
    """Whether a model's source has the form ``owner/name``."""
    parts = source.split("/")
    return len(parts) == 2 and all(parts) and not source.startswith((".", "~", "/"))


def download_command(source: str, variant: str | None = None) -> str:
    """What a user types to fetch a model by its hub id."""
    return f"splatmem models download {source}" + (f" --variant {variant}" if variant else "")


def cached_folder(source: str) -> Path | None:
    """The folder of a model in the hub's cache, complete or not; None if it is not there."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, local_files_only=True))
    except (OSError, ValueError, RuntimeError):  # the last: without a home folder there is no cache
        return None


def download(source: str, variant: str | None = None) -> Path:
    """Fetches a model into the hub's cache: of a pipeline only the parts it is made of, never pickles or code.

    Raises:
        ValueError: there is no network, no such model, or its terms were not accepted.
    """
    from huggingface_hub import file_exists, snapshot_download

    try:
        if file_exists(source, "model_index.json"):
            from diffusers import DiffusionPipeline

            folder = DiffusionPipeline.download(source, variant=variant, use_safetensors=True, trust_remote_code=False)
            return Path(str(folder))
        return Path(snapshot_download(source, allow_patterns=KINDS_OF_FILES))
    except Exception as error:  # of the hub's, its network library's and the pipeline's own kinds
        raise ValueError(f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}") from error
