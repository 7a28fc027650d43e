#!/bin/sh
# Installs PyTorch with the Python that PYTHON names: the CPU build where there is no NVIDIA driver, so that nothing of CUDA is
# fetched, and the ordinary build where there is one. Whoever wants another one installs it first: what is there is kept.
set -eu
python=${PYTHON:-python3}
cpu_index=https://download.pytorch.org/whl/cpu
pip() { "$python" -m pip "$@"; }

if "$python" -c "import torch" 2>/dev/null; then
    exit 0
fi
# What pip would take as it is set up here. Outside Linux, and where a CPU build lies at hand, that is a CPU build already.
chosen=$(pip install --quiet --dry-run --no-deps --report - -c constraints.txt torch 2>/dev/null |
    sed -n 's/.*"url": "\([^"]*torch-[^"]*\)".*/\1/p' | head -1)
if command -v nvidia-smi >/dev/null 2>&1 || [ "$(uname -s)" != Linux ]; then
    set --
else
    case $chosen in
    *+cpu* | *%2Bcpu*) set -- ;;
    *) set -- --index-url "$cpu_index" ;;
    esac
fi
echo "== PyTorch: pip install torch $*"
pip install --quiet -c constraints.txt torch "$@"
