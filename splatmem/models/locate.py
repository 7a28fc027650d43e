"""Finds the folder of a model, which is given as a local folder or a hub id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from splatmem.io.home import expanded

SAFETENSORS, GGUF = ".safetensors", ".gguf"
WEIGHTS_FILES = (SAFETENSORS, GGUF)  # neither holds code: both are a header and arrays
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


def model_file(source: str, what: str, endings: Sequence[str] = (SAFETENSORS,)) -> Path:
    """One file of weights: a local file as given, or where the hub's cache holds it. Nothing is downloaded.

    Args:
        source: the file, or ``owner/name/file.safetensors`` on the hub.
        what: the file's part, for messages.
        endings: of names that are accepted.

    Raises:
        ValueError: it is not there, or of another format; the message says how to fetch it.
    """
    if not source.endswith(tuple(endings)):
        formats = " or ".join(ending.removeprefix(".") for ending in endings)
        raise ValueError(f"the {what} must be a {formats} file, got {source!r}")
    local = expanded(source)
    if local.is_file():
        return local
    try:
        model, file = _file_on_hub(source)
    except ValueError as error:
        raise ValueError(f"the {what}: {error}") from error
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(model, file)
    if isinstance(cached, str):
        return Path(cached)
    raise ValueError(
        f"the {what} {source} is not in the cache. With a network, run: hf download {model} {file}; without, give a local file."
    )


def download_file(source: str) -> Path:
    """Fetches one file into the hub's cache.

    Raises:
        ValueError: there is no network, no such file, or its terms were not accepted.
    """
    from huggingface_hub import hf_hub_download

    model, file = _file_on_hub(source)
    try:
        return Path(hf_hub_download(model, file))
    except Exception as error:  # of the hub's and its network library's own kinds
        raise ValueError(f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}") from error


def _file_on_hub(source: str) -> tuple[str, str]:
    """``owner/name`` and the file in it."""
    owner, _, rest = source.partition("/")
    name, _, file = rest.partition("/")
    if not (owner and name and file) or source.startswith((".", "~", "/")):
        raise ValueError(f"there is no file {source}: give a local file, or one of the hub as owner/name/file")
    return f"{owner}/{name}", file


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


def download(source: str, variant: str | None = None, without: Sequence[str] = ()) -> Path:
    """Fetches a model into the hub's cache: of a pipeline only the parts it is made of, never pickles or code.

    Args:
        source: its id.
        variant: of the weights, where a pipeline offers several.
        without: parts of a pipeline whose weights are not wanted; their configurations are.

    Raises:
        ValueError: there is no network, no such model, or its terms were not accepted.
    """
    from huggingface_hub import file_exists, hf_hub_download, snapshot_download

    try:
        if file_exists(source, "model_index.json"):
            from diffusers import DiffusionPipeline

            given = dict.fromkeys(without)  # what is given is not fetched
            folder = DiffusionPipeline.download(source, variant=variant, use_safetensors=True, trust_remote_code=False, **given)
            for part in without:
                hf_hub_download(source, f"{part}/config.json")
            return Path(str(folder))
        return Path(snapshot_download(source, allow_patterns=KINDS_OF_FILES))
    except Exception as error:  # of the hub's, its network library's and the pipeline's own kinds
        raise ValueError(f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}") from error
