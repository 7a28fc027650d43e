// What the processor that runs the program can do.
#pragma once

namespace splatmem {

// Both are false on anything but x86-64. They ask for what the kernels are compiled with (CMakeLists.txt), and for an operating
// system that saves the wide registers.
bool has_avx2();
bool has_avx512();

}  // namespace splatmem
