"""How pipelines are loaded; their transformers also from single files of weights, quantised or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from splatmem.config import InpainterConfig
from splatmem.models.check import offered_variant, weights_file_problem
from splatmem.models.locate import GGUF, WEIGHTS_FILES, model_file
from splatmem.models.parts import pipeline_index


def loading_options(folder: Path, settings: InpainterConfig, dtype: torch.dtype | dict[str, torch.dtype]) -> dict[str, Any]:
    """The arguments by which the pipeline in ``folder`` is loaded: safetensors only, no code that comes with it, and the parts
    that ``settings`` names files for in the place of its own.

    Args:
        dtype: of its weights, or of each part's by name, with that of all others as ``default``.

    Raises:
        ValueError: see ``transformers_from_files``.
    """
    of_transformers = dtype["default"] if isinstance(dtype, dict) else dtype
    return {
        "dtype": dtype,
        "variant": offered_variant(folder, settings.variant),
        "use_safetensors": True,
        "trust_remote_code": False,
        **transformers_from_files(folder, settings, of_transformers),
    }


def transformers_from_files(folder: Path, settings: InpainterConfig, dtype: torch.dtype) -> dict[str, Any]:
    """The parts that ``settings`` names files for, by the name that the pipeline in ``folder`` gives them.

    A GGUF file's weights stay quantised, and are turned into ``dtype`` layer by layer while they are computed with. The names
    in a file may be those of diffusers or those of the original model.

    Raises:
        ValueError: a file is not there or not whole, or does not hold this pipeline's transformer.
    """
    index = pipeline_index(folder)
    parts: dict[str, Any] = {}
    for name, source in settings.files_of_parts().items():
        if not isinstance(index.get(name), list) or None in index[name]:
            raise ValueError(f"inpainter.{name}: the {index.get('_class_name')} in {folder} has no part of that name")
        parts[name] = _loaded(model_file(source, name, WEIGHTS_FILES), source, index[name][1], folder, name, dtype)
    return parts


def _loaded(file: Path, source: str, class_name: str, folder: Path, part: str, dtype: torch.dtype) -> Any:
    import diffusers

    wrong = weights_file_problem(file)
    if wrong:
        raise ValueError(wrong)
    options: dict[str, Any] = {"config": str(folder), "subfolder": part, "dtype": dtype, "local_files_only": True}
    if file.suffix == GGUF:
        options["quantization_config"] = diffusers.GGUFQuantizationConfig(compute_dtype=dtype)
    kind = getattr(diffusers, class_name)
    if not hasattr(kind, "from_single_file"):
        raise ValueError(f"inpainter.{part}: a {class_name} cannot be loaded from a single file")
    differs = f"{source} does not hold a {class_name} as the pipeline has it"
    try:
        model = kind.from_single_file(str(file), **options)
    except NotImplementedError as error:  # there is no value to copy into some of the weights
        raise ValueError(f"{differs}: it lacks some of the layers") from error
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"{differs}: {error}") from error
    if any(parameter.is_meta for parameter in model.parameters()):
        raise ValueError(f"{differs}: it lacks some of the layers")
    return model.eval()
