#!/bin/sh
# Builds and runs tests/kernels/check_kernels.cpp, which checks the CPU kernels without Python.
# Usage: tools/check_kernels.sh            with the address and undefined-behaviour sanitizers (two minutes to compile, seconds to run)
#        tools/check_kernels.sh aarch64    the NEON kernels, emulated, also against the pictures and gradients of this processor;
#                                          needs the Debian packages g++-aarch64-linux-gnu and qemu-user
set -eu
cd "$(dirname "$0")/.."
target=${1:-sanitize}

build() {
    folder=build/$1
    shift
    cmake -S . -B "$folder" -DSPLATMEM_CHECK=ON "$@" >/dev/null
    cmake --build "$folder" --parallel
}

case $target in
sanitize)
    # Kernels that this processor cannot run need no time to compile.
    if grep -q avx512dq /proc/cpuinfo 2>/dev/null; then avx512=ON; else avx512=OFF; fi
    build sanitize -DSPLATMEM_SANITIZE=ON -DSPLATMEM_AVX512=$avx512
    build/sanitize/check_kernels
    ;;
aarch64)
    build here
    build aarch64 -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
    build/here/check_kernels --save build/here/reference.bin
    export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
    qemu-aarch64 build/aarch64/check_kernels --compare build/here/reference.bin
    qemu-aarch64 build/aarch64/check_kernels
    ;;
*)
    echo "expected no argument or aarch64, got $target" >&2
    exit 2
    ;;
esac
