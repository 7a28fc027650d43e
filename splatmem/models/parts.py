"""What files a part of a pipeline needs, as the library that has its class says.

The class's name alone does not tell: a tokenizer that transformers 5 saves is a ``TokenizersBackend``, whichever it was.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LIBRARIES = ("diffusers", "transformers")
# Settings of parts that have no weights.
SETTINGS = ("scheduler_config.json", "preprocessor_config.json", "processor_config.json")


def pipeline_index(folder: Path) -> dict[str, Any]:
    """What a pipeline's folder says of its class (``_class_name``) and its parts: of each the library and the class."""
    return json.loads((folder / "model_index.json").read_text(encoding="utf-8"))


def has_weights(folder: Path, library: str | None, class_name: str) -> bool:
    """Whether the part in this folder is a model, with a configuration and weights.

    Args:
        library, class_name: of the part's entry in the pipeline's model_index.json.
    """
    names = {file.name for file in folder.iterdir()}
    if "config.json" in names and "tokenizer_config.json" not in names:
        return True
    if names.intersection(SETTINGS):
        return False
    kind = _class(library, class_name)
    if kind is None:  # of another version of the library, or of the pipeline's own code, which is not run
        return "tokenizer_config.json" not in names
    return any(base.__module__.startswith("torch.nn.") for base in kind.__mro__)


def vocabulary_problem(folder: Path, library: str | None, class_name: str) -> str:
    """What a tokenizer's folder lacks, in words; empty if nothing, or if the part is none."""
    files = getattr(_class(library, class_name), "vocab_files_names", None)
    if not isinstance(files, Mapping):
        return ""
    whole = files.get("tokenizer_file", "tokenizer.json")
    parts = [name for key, name in files.items() if key != "tokenizer_file"]
    if (folder / whole).is_file() or (parts and all((folder / name).is_file() for name in parts)):
        return ""
    return f"{folder} has no vocabulary: expected {' or '.join([whole, ' with '.join(parts)] if parts else [whole])}"


def _class(library: str | None, class_name: str) -> Any:
    """The class, if one of the libraries has it; code that comes with a pipeline is not looked at."""
    if library not in LIBRARIES:
        return None
    try:
        found = getattr(importlib.import_module(library), class_name, None)
    except ImportError:  # of a package that the class needs
        return None
    return found if isinstance(found, type) else None
