#pragma once

#include <nanobind/nanobind.h>

namespace splatmem {

// Adds to the Python module what works on pictures: the functions of patches.h and smear.h.
void bind_pictures(nanobind::module_& m);

}  // namespace splatmem
