// Choice of the instruction set at run time.
#pragma once

#include <string>
#include <vector>

#include "view.h"

namespace splatmem {

// The instruction sets that were compiled in and that this processor has, best first.
std::vector<std::string> instruction_sets();

// The kernels in use: the best ones, unless the environment's SPLATMEM_SIMD or use_instruction_set chose others. Throws
// std::invalid_argument if SPLATMEM_SIMD is not one of instruction_sets().
const Kernels& kernels();

// For tests and benchmarks. Throws std::invalid_argument if the name is not one of instruction_sets().
void use_instruction_set(const std::string& name);

}  // namespace splatmem
