#!/bin/sh
# Makes sure that the Debian or Ubuntu packages are there that pip cannot bring: installs them if it may, else says which.
set -eu
missing=""
command -v c++ >/dev/null 2>&1 || missing="$missing g++"
python=${PYTHON:-python3}
"$python" -c "import venv, ensurepip" >/dev/null 2>&1 || missing="$missing python3-venv"
test -e "$("$python" -c "import sysconfig; print(sysconfig.get_path('include'))")/Python.h" || missing="$missing python3-dev"
for pair in libusb-1.0.so.0:libusb-1.0-0 libGL.so.1:libgl1 libEGL.so.1:libegl1 libgomp.so.1:libgomp1; do
    ldconfig -p 2>/dev/null | grep -q "${pair%%:*}" || missing="$missing ${pair#*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "== installing Debian packages:$missing"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    echo "== installing Debian packages:$missing"
    sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "Please install these Debian packages first:  sudo apt-get install$missing" >&2
    exit 1
fi
