#include "dispatch.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

#include "processor.h"

namespace splatmem {

#if defined(SPLATMEM_AVX512)
namespace avx512 {
extern const Kernels kernels;
}
#endif
#if defined(SPLATMEM_AVX2)
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
#if defined(SPLATMEM_AVX512)
    if (has_avx512()) found.push_back(&avx512::kernels);
#endif
#if defined(SPLATMEM_AVX2)
    if (has_avx2()) found.push_back(&avx2::kernels);
#endif
    found.push_back(&baseline::kernels);
    return found;
}

std::atomic<const Kernels*> chosen{nullptr};

const Kernels* find(const std::string& name) {
    std::string names;
    for (const Kernels* kernels : usable()) {
        if (name == kernels->name) return kernels;
        names += (names.empty() ? "" : ", ") + std::string(kernels->name);
    }
    throw std::invalid_argument(
        "no instruction set '" + name + "' in this build or processor (SPLATMEM_SIMD or use_instruction_set); there is " + names);
}

const Kernels* preferred() {
    const char* name = std::getenv("SPLATMEM_SIMD");
    return name == nullptr || *name == '\0' ? usable().front() : find(name);
}

}  // namespace

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const Kernels* kernels : usable()) names.emplace_back(kernels->name);
    return names;
}

const Kernels& kernels() {
    if (chosen.load() == nullptr) chosen.store(preferred());
    return *chosen.load();
}

void use_instruction_set(const std::string& name) { chosen.store(find(name)); }

}  // namespace splatmem
