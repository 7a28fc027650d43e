#include "processor.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace splatmem {
#if defined(__x86_64__)
namespace {

// The processor's own words, not __builtin_cpu_supports, which needs a run-time library that clang-cl does not link.
struct Features {
    unsigned basic = 0, extended = 0;  // leaf 1 ecx, leaf 7 ebx
    unsigned saved = 0;                // register states that the operating system saves, XCR0

    Features() {
        unsigned eax, ebx, ecx, edx;
        if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) basic = ecx;
        if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) extended = ebx;
        constexpr unsigned kOsxsave = 1u << 27;
        if (basic & kOsxsave) asm volatile("xgetbv" : "=a"(saved), "=d"(edx) : "c"(0));
    }
};

bool all(unsigned word, unsigned bits) { return (word & bits) == bits; }

const Features& features() {
    static const Features found;
    return found;
}

}  // namespace

bool has_avx2() {
    const unsigned fma = 1u << 12, f16c = 1u << 29, avx = 1u << 28;
    const unsigned bmi = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8;
    const unsigned sse_and_avx_state = 0x6;
    return all(features().basic, fma | f16c | avx) && all(features().extended, bmi | avx2 | bmi2) &&
           all(features().saved, sse_and_avx_state);
}

bool has_avx512() {
    const unsigned f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31;
    const unsigned mask_and_upper_state = 0xe0;
    return has_avx2() && all(features().extended, f | dq | bw | vl) && all(features().saved, mask_and_upper_state);
}

#else
bool has_avx2() { return false; }
bool has_avx512() { return false; }
#endif
}  // namespace splatmem
