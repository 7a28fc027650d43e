"""Mistyped words are answered before anything large is imported, and a run imports nothing large that it does not use."""

from __future__ import annotations

import subprocess
import sys

import pytest
from splatmem import assets
from splatmem.cli.ahead import load_ahead

PHOTO = str(assets.path("photos/interior_table.jpg"))
LARGE = ("torch", "numpy", "scipy", "diffusers", "transformers", "cv2")
COMMAND = """
import sys
from splatmem.cli.main import main
try:
    main({arguments!r})
except SystemExit as stop:
    print("status", stop.code, *(name for name in {large!r} if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["flyround", PHOTO, "--out", "x"], "did you mean 'flyaround'"),
        (["flyaround", "nothere.jpg", "--out", "x"], "there is no photo nothere.jpg"),
        (["flyaround", PHOTO, "--out", "x", "--size", "512"], "a size is WIDTHxHEIGHT"),
        (["flyaround", PHOTO, "--out", "x", "--preset", "embeded"], "did you mean 'embedded'"),
        (["flyaround", PHOTO, "--out", "x", "--path", "trun"], "did you mean 'turn'"),
        (["flyaround", PHOTO, "--out", "x", "--sede", "1"], "--seed"),
        (["render", "nowhere", "--out", "x.mp4"], "is not a folder made by"),
        (["explore", "nothere.jpg"], "there is no photo, scene or file of splats nothere.jpg"),
        (["explore", PHOTO, "--host", "a b"], "--host is a name"),
        (["explore", PHOTO, "--preset", "embeded"], "did you mean 'embedded'"),
        (["export", "nowhere", "x.ply"], "is not a folder made by"),
        (["batch", "films.csv", "--out", "x", "--each", "pth=arc"], "did you mean 'path'"),
        (["batch", "films.csv", "--out", "x", "--array", "4/4"], "a part is I/N"),
    ],
)
def test_nothing_large_is_imported(arguments: list[str], said: str) -> None:
    code = COMMAND.format(arguments=arguments, large=LARGE)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["status", "2"], ended.stderr
    assert said in ended.stderr


def test_the_large_library_is_loaded_ahead_where_a_command_is_about_to_need_it() -> None:
    assert load_ahead(["flyaround", "nothere.jpg", "--out", "x"]) is None
    assert load_ahead(["flyround", PHOTO, "--out", "x"]) is None
    assert load_ahead(["doctor"]) is None
    assert load_ahead(["flyaround", PHOTO, "--threads", "1"]) is None, "it is read when the library is loaded"
    code = (
        "import sys; from splatmem.cli.ahead import load_ahead; thread = load_ahead(sys.argv[1:]); thread and thread.join(); "
        "print('torch' in sys.modules, 'libtorch_cpu' in open('/proc/self/maps').read() or not thread); import torch"
    )
    if sys.platform.startswith("linux"):
        command = [sys.executable, "-c", code, "flyaround", PHOTO]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (ended.stdout.split(), ended.returncode) == (["False", "True"], 0), ended.stderr


def test_parts_of_pytorch_that_no_film_needs_are_imported_when_they_are_asked_for() -> None:
    code = """
import sys
from splatmem.cli.ahead import load_ahead
load_ahead(sys.argv[1:])
import torch
from splatmem.cli.deferred import DEFERRED
late = lambda: [name for name in DEFERRED if type(sys.modules[name]).__name__ == "_Deferred"]
torch.Generator().manual_seed(0)
print(torch.__version__[:4], len(late()))
print(torch.distributions.Normal(0.0, 1.0).mean.item(), len(late()))
import torch._inductor  # needs what the modules register, and names none of them
print(torch.empty(3, 2, device="meta").cumsum(0).shape, len(late()), callable(torch.export.export))
torch.Generator().manual_seed(0)
"""
    ended = subprocess.run([sys.executable, "-c", code, "flyaround", PHOTO], capture_output=True, text=True, check=False)
    first, *others = ended.stdout.splitlines() or [ended.stderr]
    if first != "2.13 4":
        pytest.skip("another system, or another version of PyTorch: nothing is deferred")
    assert (others, ended.returncode) == (["0.0 3", "torch.Size([3, 2]) 0 True"], 0), ended.stdout + ended.stderr


UNUSED = ("diffusers", "transformers", "accelerate", "huggingface_hub", "torch._dynamo", "sympy", "matplotlib", "open3d")
LOADED = """
import sys
import splatmem.jobs.{job}
from splatmem.config import load_preset
from splatmem.explore.models import Models
models = Models(load_preset("embedded"))
if {load!r}:
    models.inpainter, models.depth
    import splatmem.report.html
    import splatmem.report.sheet
print("imported", *(name for name in {unused!r} if name in sys.modules))
"""


def test_filming_a_scene_imports_nothing_that_makes_one() -> None:
    seen = "*(name for name in ('cv2', 'kornia', 'scipy', 'splatmem.explore', 'splatmem.inpaint') if name in sys.modules)"
    code = f"import sys; import splatmem.jobs.render; print('imported', {seen})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["imported"], ended.stderr


@pytest.mark.parametrize(("job", "load"), [("flyaround", True), ("render", False), ("export", False)])
def test_the_embedded_preset_does_without_the_big_models_libraries(job: str, load: bool) -> None:
    code = LOADED.format(job=job, load=load, unused=UNUSED)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["imported"], ended.stderr
