// What is shown where a picture has gaps: colours smeared in from around them by push-pull (Gortler et al. 1996, "The
// Lumigraph"). splatmem/geometry/push_pull.py has the same in PyTorch, splatmem/memory/visibility.py the rule.
#pragma once

#include <cstdint>

namespace splatmem {

struct DrawnPicture {
    const float* rgb;    // [height, width, 3], composited over black
    const float* alpha;  // [height, width], its accumulated opacity
    const bool* known;   // [height, width]: where that is of surfaces seen from their front
    int height, width;
};

// Writes to `shown` [height, width, 3], 0..1: what is known, composited over colours smeared in from what is known with an
// opacity of at least `solid`; elsewhere these alone. What is solid is composited over itself.
void show(const DrawnPicture& picture, float solid, float* shown);

}  // namespace splatmem
