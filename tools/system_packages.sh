#!/bin/sh
# Makes sure that the Debian or Ubuntu packages are there that pip cannot bring: installs them if it may, else says which.
# Without those of Vulkan only Open3D's splat renderer is missing, which tests and the benchmark compare with;
# without chromium only the tests in a browser.
set -eu
library() { ldconfig -p 2>/dev/null | grep -q "$1"; }
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root=sudo
else
    as_root=false
fi
install() {
    [ "$as_root" != false ] || return 1
    echo "== installing Debian packages: $*"
    $as_root apt-get update -qq &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

missing=""
command -v c++ >/dev/null 2>&1 || missing="$missing g++"
python=${PYTHON:-python3}
"$python" -c "import venv, ensurepip" >/dev/null 2>&1 || missing="$missing python3-venv"
test -e "$("$python" -c "import sysconfig; print(sysconfig.get_path('include'))")/Python.h" || missing="$missing python3-dev"
for pair in libusb-1.0.so.0:libusb-1.0-0 libGL.so.1:libgl1 libEGL.so.1:libegl1 libgomp.so.1:libgomp1; do
    library "${pair%%:*}" || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ] && ! install $missing; then
    echo "Please install these Debian packages first:  sudo apt-get install$missing" >&2
    exit 1
fi

useful=""
library libvulkan.so.1 || useful="$useful libvulkan1"
library libvulkan_lvp.so || useful="$useful mesa-vulkan-drivers"
browser=""
command -v chromium >/dev/null 2>&1 || browser="$browser chromium"
command -v chromedriver >/dev/null 2>&1 || browser="$browser chromium-driver"
if [ -n "$browser" ] && ! install $browser; then
    echo "Tests in a browser are left out; they need:  sudo apt-get install$browser" >&2
fi
if [ -n "$useful" ] && ! install $useful; then
    echo "Comparisons with Open3D's splat renderer are left out; they need:  sudo apt-get install$useful" >&2
fi
