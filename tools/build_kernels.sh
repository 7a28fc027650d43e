#!/bin/sh
# Builds the CPU rasterizer for a checkout that is used in place: puts _kernels*.so into splatmem/render/.
# Usage: tools/build_kernels.sh [PYTHON]    (default: .venv/bin/python, else python3; it needs `pip install nanobind`)
set -eu
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then python=$1; elif [ -x .venv/bin/python ]; then python=.venv/bin/python; else python=python3; fi
python=$("$python" -c "import sys; print(sys.executable)")
cmake -S . -B build/kernels -DCMAKE_BUILD_TYPE=Release -DPython_EXECUTABLE="$python"
cmake --build build/kernels --parallel
cmake --install build/kernels --prefix .
