"""Which build of PyTorch `make` chooses, with a stand-in for pip that says what it was asked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "install_torch.sh"
PYTHON = """#!/bin/sh
case "$*" in
*"import torch"*) exit {status} ;;
*--dry-run*) echo '{{"install": [{{"download_info": {{"url": "{url}"}}}}]}}' ;;
*) echo "asked: $*" ;;
esac
"""
CPU, ORDINARY = "file:///wheels/torch-2.13.0%2Bcpu-cp311.whl", "https://host/torch-2.13.0-cp311.whl"


@pytest.mark.skipif(os.name != "posix" or os.uname().sysname != "Linux", reason="the choice is made on Linux")
@pytest.mark.parametrize(
    ("url", "has_driver", "there", "index"),
    [(ORDINARY, False, False, True), (ORDINARY, True, False, False), (CPU, False, False, False), (ORDINARY, False, True, None)],
)
def test_the_build_that_fits(tmp_path: Path, url: str, has_driver: bool, there: bool, index: bool | None) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    programs = {"python": PYTHON.format(status=0 if there else 1, url=url)} | (
        {"nvidia-smi": "#!/bin/sh\n"} if has_driver else {}
    )
    for name, text in programs.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    for name in ("sh", "sed", "head", "uname"):
        place = next(Path(folder) / name for folder in ("/bin", "/usr/bin") if (Path(folder) / name).exists())
        (tools / name).symlink_to(place)
    surroundings = {"PATH": str(tools), "PYTHON": str(tools / "python")}
    said = subprocess.run([str(TOOL)], env=surroundings, capture_output=True, text=True, check=True).stdout
    if index is None:
        assert said == "", "what is there is kept"
    else:
        assert "asked: -m pip install" in said
        assert ("--index-url" in said) == index
