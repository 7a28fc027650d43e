"""What the embedded depth model says of a picture, computed once in a run of the tests.

Many tests make small scenes of one photo, and the depth model is most of what they would compute. What it says is kept in a
folder that all processes of a run share, the forked commands among them, under a key made of the picture and of the model's
weights. It looks at a picture once, and not at its mirror image as well: that is half the time, and tests of the mean of both
have networks of their own. Other models, devices other than the CPU, and weights that are being trained compute as ever.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from splatmem.depth import DepthPrediction
from splatmem.depth.embedded.network import SmallDepth
from splatmem.depth.huggingface import HuggingFaceDepth

FOLDER = "SPLATMEM_REMEMBERED_DEPTHS"
"""Environment variable: the folder. Where it is not set, nothing is remembered."""


def make_folder() -> Path | None:
    """Makes the folder of this run, unless a parent process has; returns it if this process is to remove it at its end."""
    if FOLDER in os.environ:
        return None
    folder = Path(tempfile.mkdtemp(prefix="splatmem-depths-"))
    os.environ[FOLDER] = str(folder)
    return folder


def remove_folder(folder: Path) -> None:
    del os.environ[FOLDER]
    shutil.rmtree(folder, ignore_errors=True)


def remember() -> None:
    """From now on the embedded model looks up what it has said of a picture, and writes down what it says of a new one."""
    compute = HuggingFaceDepth._predict

    def predict(self: HuggingFaceDepth, images: torch.Tensor, fov_x_degrees: float | None) -> DepthPrediction:
        folder = os.environ.get(FOLDER)
        if folder is None or images.device.type != "cpu" or not _is_embedded(self):
            return compute(self, images, fov_x_degrees)
        key = hashlib.sha256(f"{tuple(images.shape)} {fov_x_degrees} {_weights(self)}".encode())
        key.update(images.contiguous().numpy().tobytes())
        file = Path(folder) / key.hexdigest()
        if file.is_file():
            kept = load_file(file)
            return DepthPrediction(kept.pop("depth"), metric=True, **kept)
        config = self.model.config
        self.model.config = replace(config, mirrored=False)
        try:
            prediction = compute(self, images, fov_x_degrees)
        finally:
            self.model.config = config
        assert prediction.fov_x_degrees is None
        told = {name: getattr(prediction, name) for name in ("depth", "class_logits", "indoors_logits")}
        _write({name: value.contiguous() for name, value in told.items() if value is not None}, file)
        return prediction

    HuggingFaceDepth._predict = predict


def _is_embedded(estimator: HuggingFaceDepth) -> bool:
    """Whether it is the network that a run loads by itself, as it is used there."""
    model = estimator.model
    return type(model) is SmallDepth and model.device.type == "cpu" and not model.training


def _weights(estimator: HuggingFaceDepth) -> str:
    """A fingerprint of the weights, worked out again when one of them has changed."""
    tensors = [*estimator.model.parameters(), *estimator.model.buffers()]
    state = sum(tensor._version for tensor in tensors)
    known = estimator.__dict__.get("_fingerprint")
    if known is None or known[0] != state:
        digest = hashlib.sha256()
        for tensor in tensors:
            digest.update(tensor.detach().contiguous().view(-1).view(torch.uint8).numpy())
        known = estimator.__dict__["_fingerprint"] = (state, digest.hexdigest())
    return known[1]


def _write(tensors: dict[str, torch.Tensor], file: Path) -> None:
    """Whole or not at all: other processes look for the file meanwhile."""
    with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as partial:
        pass
    save_file(tensors, partial.name)
    os.replace(partial.name, file)
