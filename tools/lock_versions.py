"""Writes requirements.lock: the version and the hashes of every package that ``pip install splatmem`` brings.

    python tools/lock_versions.py            # or: make lock

The versions are those installed beside the Python that runs this, which are the ones that the tests passed with. uv
(``pip install uv``) finds what else other systems and Python versions need, and the hashes of all files of each version.
PyTorch is left out, with the CUDA packages that its ordinary build asks for: which build is wanted differs from machine to
machine, and each build has hashes of its own. constraints.txt pins its version.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

PROJECT = Path(__file__).parents[1]
LOCK = PROJECT / "requirements.lock"
LEFT_OUT = re.compile(r"(torch|triton|cuda-.*|nvidia-.*)$")
PYTHON = "3.11"  # the oldest that is supported; the lock holds for later ones too
HEADER = """\
# The versions of all that splatmem needs, with the hashes of their files, as they were when the tests passed.
# Without PyTorch, which is installed first (docs/install.md). Made by: python tools/lock_versions.py
"""


def installed_versions() -> Iterator[str]:
    """``name==version`` of each package beside this Python; local labels, such as that of a CPU build, are left out."""
    for distribution in distributions():
        if distribution.name != "splatmem":
            yield f"{distribution.name}=={distribution.version.partition('+')[0]}"


def without_torch(lock: str) -> str:
    """The lock's text without the entries that ``LEFT_OUT`` names. An entry is a line and the indented lines after it."""
    entries = re.findall(r"^\S.*\n(?:[ \t].*\n)*", lock, re.M)
    return "".join(entry for entry in entries if not LEFT_OUT.match(entry.partition("==")[0]))


def resolved(uv: str) -> str:
    """What uv makes of pyproject.toml with the versions that are installed here."""
    with tempfile.TemporaryDirectory() as folder:
        installed = Path(folder) / "installed.txt"
        installed.write_text("".join(f"{pin}\n" for pin in sorted(set(installed_versions()))), encoding="utf-8")
        command = [uv, "pip", "compile", "pyproject.toml", "--constraints", "constraints.txt", "--constraints", str(installed)]
        command += ["--universal", "--python-version", PYTHON, "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
        return subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout


def main() -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise SystemExit("uv is not installed: pip install uv")
    LOCK.write_text(HEADER + without_torch(resolved(uv)), encoding="utf-8")


if __name__ == "__main__":
    main()
