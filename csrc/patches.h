// Patches of a picture that are made of other patches of it: search for better ones (PatchMatch, Barnes et al. 2009), and the
// picture that they ask for (Wexler et al. 2007). The Python side is splatmem/extrapolate/continuation.py.
#pragma once

#include <cstdint>

namespace splatmem {

struct PatchPicture {
    const float* rgb;  // [height + 2 radius, width + 2 radius, 3]: with a margin, since patches may reach out of the picture
    int64_t height, width;
    int radius;  // of a patch, in pixels
};

// The patches that are made of others.
struct PatchField {
    const int64_t* middles;  // [count, 2], row and column
    const int64_t* index;    // [height, width]: the number of the patch whose middle a pixel is, or -1
    int64_t count;
};

// What places are compared by beside their colours, and which of them may be taken.
struct PatchPlaces {
    const float* log_depth;  // [height, width]
    const int64_t* list;     // [height, width]: which list of places a pixel is in; -1: none, 0: only the one of all surfaces
    const int64_t* wanted;   // [count]: from which list each patch is taken; 0: from any
    float depth_weight;      // of a difference of logarithms, which counts up to 1
    float way_weight;        // of a pixel between a patch and what it is made of
};

// Improves `match` [count, 2], row and column of the patch that each is made of: tries what patches 4 and 1 pixels beside it
// found, and its own place moved by each of `steps` [tries, count, 2] (rows and columns). Writes what the matches cost to
// `cost` [count]. All patches try the same at the same time, so the result does not depend on the number of threads.
void search_patches(
    const PatchPicture& picture, const PatchField& field, const PatchPlaces& places, const int64_t* steps, int64_t tries,
    int64_t* match, float* cost, int threads);

// Writes to `colours` [pixels, 3] the mean of what the patches over each of `wanted` [pixels, 2] (row and column) have there,
// by their `weight` [count]. Of what lies on another of the surfaces [height, width] than the pixel the share `foreign` counts.
void vote_of_patches(
    const PatchPicture& picture, const PatchField& field, const int64_t* match, const float* weight, const int64_t* surface,
    float foreign, const int64_t* wanted, int64_t pixels, float* colours, int threads);

}  // namespace splatmem
