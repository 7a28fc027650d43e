"""What the doctor finds, and the status with which it ends."""

import subprocess
import sys

import pytest
from splatmem import assets
from splatmem.cli import doctor
from splatmem.cli.main import main


def status(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        main(["doctor"])
    return int(stop.value.code or 0), capsys.readouterr().out


def test_a_machine_that_has_all(capsys):
    code, said = status(capsys)
    assert code == 0
    for name in ("processor", "memory", "disk", "PyTorch", "rasterizer on the CPU", "H.264 video", "embedded models"):
        assert f"yes  {name}: " in said
    assert "All that a run needs is here." in said


def test_models_that_are_missing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(assets, "PACKAGE", tmp_path)
    code, said = status(capsys)
    assert code == 1
    assert "NO   embedded models: missing: models/inpaint-places, models/depth-small" in said
    assert "Missing, and needed by every run: embedded models" in said


def test_pytorch_that_does_not_load(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    found = {finding.name: finding for finding in doctor.examine()}
    assert not found["PyTorch"].usable
    assert found["PyTorch"].needed
    assert "--index-url" in found["PyTorch"].advice


def test_a_command_without_pytorch_names_the_doctor(tmp_path):
    code = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)
sys.meta_path.insert(0, Without())
from splatmem.cli.main import main
main(sys.argv[1:])
"""
    photo = str(assets.path("photos/interior_table.jpg"))
    ended = subprocess.run(
        [sys.executable, "-c", code, "flyaround", photo, "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "the package torch is not installed: 'splatmem doctor' says" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("free", "usable", "said"),
    [(100 * 2**20, False, "no film fits"), (1200 * 2**20, True, "give --size"), (8 * 2**30, True, ""), (None, True, "")],
)
def test_memory(monkeypatch, free, usable, said):
    monkeypatch.setattr(doctor, "free_main_memory", lambda: free)
    (found,) = [finding for finding in doctor.examine() if finding.name == "memory"]
    assert found.usable == usable
    assert said in found.lack + found.advice


def test_a_driver_that_pytorch_cannot_use(monkeypatch):
    monkeypatch.setattr(doctor, "_has_nvidia_driver", lambda: True)
    monkeypatch.setattr("torch.version.cuda", None)
    (found,) = [finding for finding in doctor.examine() if finding.name == "PyTorch"]
    assert found.usable
    assert "there is an NVIDIA driver, which this build cannot use" in found.advice


def test_what_is_missing_says_what_that_means():
    for finding in doctor.examine():
        assert finding.usable or finding.lack, finding
