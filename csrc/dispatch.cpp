#include "dispatch.h"

#include <atomic>
#include <stdexcept>

namespace splatmem {

#if defined(SPLATMEM_X86)
namespace avx512 {
extern const Kernels kernels;
}
namespace avx2 {
extern const Kernels kernels;
}
#endif
namespace baseline {
extern const Kernels kernels;
}

namespace {

std::vector<const Kernels*> usable() {
    std::vector<const Kernels*> found;
#if defined(SPLATMEM_X86)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
        found.push_back(&avx512::kernels);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(&avx2::kernels);
#endif
    found.push_back(&baseline::kernels);
    return found;
}

std::atomic<const Kernels*> chosen{nullptr};

}  // namespace

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const Kernels* kernels : usable()) names.emplace_back(kernels->name);
    return names;
}

const Kernels& kernels() {
    if (chosen.load() == nullptr) chosen.store(usable().front());
    return *chosen.load();
}

void use_instruction_set(const std::string& name) {
    for (const Kernels* kernels : usable())
        if (name == kernels->name) return chosen.store(kernels);
    throw std::invalid_argument("this build or processor has no instruction set '" + name + "'");
}

}  // namespace splatmem
