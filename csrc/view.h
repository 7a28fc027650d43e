// What the stages of the rasterizer hand to each other. Plain data, the same for every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory.h"

namespace splatmem {

// Constants of 3DGS (Kerbl et al. 2023) as gsplat 1.5 has them.
constexpr float kMinAlpha = 1.f / 255.f;         // weaker contributions are dropped
constexpr float kLog2MinAlpha = -7.9943534369f;
constexpr float kMaxAlpha = 0.999f;              // and stronger ones capped
constexpr float kMinTransmittance = 1e-4f;       // a pixel stops before its transmittance would fall to this
constexpr float kMaxExtent = 3.33f;              // standard deviations at which an opacity of 1 has decayed to 1/255
constexpr float kGrazing = 0.08f;                // cosine below which a surface turns from its front to its back, smoothly
constexpr float kLog2E = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

// A box around a chunk's finite means, with the largest of its scales: what tells that none of it is in view. Found once for
// all views of a call.
struct ChunkBox {
    float low[3], high[3], largest_scale;
};

enum class Scalar { float32, float16, bfloat16 };

// Activated parameters, row by row. An image's channels are, in this order: red, green and blue of the harmonics if there are
// any, the colors, and the backfacing share and the z-depth if they are asked for.
struct Scene {
    const float *means, *quats, *scales, *opacities;  // [n, 3], wxyz [n, 4], [n, 3], [n]
    const float* harmonics;  // spherical-harmonic coefficients [n, bands, 3]; bands is 0 if there are none
    int bands, degree;       // coefficients stored per colour, and the degree that is evaluated: (degree + 1)^2 <= bands
    const void* colors;      // [n, channels]
    Scalar colors_type;
    int channels;
    int64_t count;
    const ChunkBox* boxes;  // of its chunks, or null

    int harmonic_channels() const { return bands > 0 ? 3 : 0; }  // an empty scene has no pointers
};

// Gradients to what the projection gives, row by row for the visible Gaussians in the scene's order.
struct ProjectedGradients {
    float *means2d, *depths, *conics, *opacities;  // [visible, 2], [visible], xx xy yy [visible, 3], [visible]
    float* absolute_means2d;  // [visible, 2]: sums of the absolute values of the pixels' gradients (AbsGS), or null
};

// Gradients of a scene's shapes and of its camera; the kernels add to them, where they are not told to overwrite. Null: not
// wanted.
struct Gradients {
    float *means;                        // not null
    float *quats, *scales, *opacities;   // not null unless `projected` is given
    float *harmonics, *colors;
    float *viewmat, *center;    // [4, 4] and [3]
    float* camera_sums;         // [chunks, kCameraSums]: those of the camera from each chunk
    bool overwrite, overwrite_harmonics, overwrite_colors;  // the first: means, quats, scales and opacities
    ProjectedGradients* projected;  // if given, compositing's gradients go there and not through the projection
};
constexpr int kCameraSums = 16;  // nine of the rotation, three of the translation, three of the centre

enum class CameraModel { pinhole, ortho };

// A camera with OpenCV axes: camera = rotation world + translation, pixel = f camera.xy / camera.z + c, or, orthographic,
// pixel = f camera.xy + c.
struct Camera {
    CameraModel model;
    float rotation[9], translation[3];
    float center[3];  // the camera's place in the world
    float fx, fy, cx, cy;
    int width, height;
    float near_plane, far_plane;
    float radius_clip;  // Gaussians with both radii at most this many pixels are skipped
    float eps2d;        // variance in square pixels that is added to every projected Gaussian
    bool antialiased;   // whether opacities make up for what eps2d adds (Mip-Splatting, Yu et al. 2024)
};

// The channels that are composited together. The last ones of an image are not colours: first the backfacing share, between 0 for a
// Gaussian seen from its front (the side of its local z axis) and 1 from behind, then the z-depth, if they are drawn.
struct ChannelGroup {
    int first;          // channel of the image where the group begins
    int used;           // channels of the image in the group
    int padded;         // channels that the kernels carry: 1, 3, 4, 6, 8 or 16; the last padded - used are zero
    int back_channel, depth_channel;  // indices in the image, or -1
    int image_channels; // channels of the image in all

    bool has(int channel) const { return channel >= first && channel < first + used; }
    bool has_back() const { return has(back_channel); }
    bool has_depth() const { return has(depth_channel); }
    int colors_end() const { return used - has_back() - has_depth(); }  // counted from `first`
};
constexpr int kGroupChannels = 16;  // channels of a group at most

// One visible Gaussian. The record holds everything that a tile needs of it, in one or two cache lines.
struct Record {
    float x, y;                   // projected mean in pixels, relative to the centre of pixel (0, 0)
    // The falloff at (dx, dy) is 2 to the power of -(xx dx + xy dy)^2 - (yy dy)^2: a Cholesky factor of the conic.
    float root_xx, root_xy, root_yy;
    float opacity, log2_opacity;
    float half_height;  // of the ellipse where alpha is at least 1/255
    // The ellipse's row at height dy spans slope dy +- sqrt(reach - narrowing dy^2); it is widest to the right at dy = tilt.
    float slope, narrowing, reach, tilt;

    float conic_xx() const { return 2.f * kLn2 * root_xx * root_xx; }
    float conic_xy() const { return 2.f * kLn2 * root_xx * root_xy; }
    float conic_yy() const { return 2.f * kLn2 * (root_xy * root_xy + root_yy * root_yy); }
    float conic_det() const { return narrowing * conic_xx() * conic_xx(); }

    // The group's `padded` channels follow, so records lie 16 or 32 floats apart.
    const float* channels() const { return reinterpret_cast<const float*>(this + 1); }
};
constexpr int kRecordGeometry = sizeof(Record) / sizeof(float);
constexpr int record_stride(int padded_channels) { return padded_channels <= 4 ? 16 : 32; }
// Tiles of 32 pixels, or 16 when the accumulators of more channels would not stay in the first-level cache.
constexpr int tile_size(int padded_channels) { return padded_channels <= 6 ? 32 : 16; }
// Floats of a gradient slot: six moments, the channels, and the two of absolute gradients (composite_backward.cpp).
constexpr int kMoments = 6;
constexpr int slot_stride(int padded_channels) { return kMoments + padded_channels + 2 <= 16 ? 16 : 32; }

// The tiles that a Gaussian's box touches: columns [x0, x1), rows [y0, y1).
struct TileBox {
    uint16_t x0, x1, y0, y1;
    uint32_t area() const { return static_cast<uint32_t>(x1 - x0) * static_cast<uint32_t>(y1 - y0); }
};

// Gaussians are projected in chunks; what is visible of chunk k lies at index k * kChunk and after, in the scene's order.
constexpr int kChunk = 4096;
struct Chunk {
    uint32_t visible;         // Gaussians of the chunk in view
    int64_t pairs;            // their (Gaussian, tile) pairs
    uint32_t first_visible;   // sums over the chunks before
    uint32_t first_pair;
};

// What of a Gaussian's channels depends on the view.
struct SeenGaussian {
    float rgb[3];  // what the harmonics give, where there are any
    float back, depth;
};

// The Gaussians [first, last) of a scene.
struct GaussianRange {
    int64_t first, last;
};

// All that is kept of a drawn view until its backward pass.
struct ViewState {
    Camera camera;
    ChannelGroup first_group;
    int stride = 16;  // floats between records
    int tile = 32, tiles_x = 0, tiles_y = 0;

    // project.cpp: indexed by k * kChunk + i
    Buffer<Chunk> chunks;
    int chunk_count = 0;
    uint32_t visible = 0;
    int64_t pairs = 0;
    Buffer<float> records;
    Buffer<float> depths;
    Buffer<uint32_t> gaussian_ids;
    Buffer<TileBox> boxes;
    Buffer<uint32_t> pair_offsets;  // of a Gaussian's first pair within its chunk's pairs
    Buffer<SeenGaussian> seen;      // as fill_channels takes them; only where there is more than one group

    // sort_and_bin.cpp: pairs by tile, front to back
    Buffer<uint32_t> tile_starts;   // tiles + 1
    Buffer<uint32_t> pair_records;  // index of the record
    Buffer<uint32_t> pair_slots;    // place of the pair when pairs are ordered by Gaussian: its slot for sums, if those are wanted
    // Where some Gaussians alone are asked about: their slots, and for each tile where its last pair of them ends. With
    // `whole_tiles`, tiles that have such pairs are looked at to their end all the same.
    uint32_t first_slot = 0, last_slot = 0;
    Buffer<uint32_t> tile_ends;
    bool whole_tiles = false;

    // Behind the last of a tile's pairs that are looked at.
    uint32_t end_of(int tile) const {
        const uint32_t begin = tile_starts.data()[tile], end = tile_starts.data()[tile + 1];
        if (tile_ends.data() == nullptr) return end;
        const uint32_t asked = tile_ends.data()[tile];
        return whole_tiles && asked > begin ? end : asked;
    }

    Record& record(size_t index) { return *reinterpret_cast<Record*>(records.data() + index * stride); }
    const Record& record(size_t index) const {
        return *reinterpret_cast<const Record*>(records.data() + index * stride);
    }
};

// Compositing looks at so many pairs beyond a tile's last.
constexpr uint32_t kPairsAhead = 12;

// Memory that no view keeps.
struct Scratch {
    Buffer<float> slots;
    Buffer<uint8_t> slot_used;
    Buffer<float> camera_sums;
};

// One group of channels of an image [height, width, image_channels], and the alpha [height, width].
struct ImageIn {
    const float *image, *alpha, *grad_image, *grad_alpha;  // grad_alpha may be null
};
struct ImageOut {
    float *image, *alpha;     // alpha may be null
    const float* background;  // [image_channels] or null
};

// Sums over the pixels of a picture, each value times the weight with which a Gaussian is blended there.
struct WeightedSums {
    const float* picture;  // [height, width, channels]; null: all one
    int channels;          // 1 or 3
    GaussianRange range;   // of those whose sums are wanted
    float* sums;           // [last - first, channels]
};

// The stages that are compiled for each instruction set.
struct Kernels {
    const char* name;
    void (*box_chunks)(const Scene&, ChunkBox*, int threads);
    void (*project)(ViewState&, const Scene&, int threads);
    void (*composite_forward)(const ViewState&, const ChannelGroup&, const ImageOut&, int threads);
    void (*median_depth)(const ViewState&, float* depth, int threads);  // [height, width]
    void (*weighted_sums)(const ViewState&, const WeightedSums&, Scratch&, int threads);
    void (*composite_backward)(const ViewState&, const ChannelGroup&, const ImageIn&, Scratch&, bool absolute, int threads);
    void (*project_backward)(
        const ViewState&, const ChannelGroup&, const Scratch&, const Scene&, const Gradients&, int threads);
    void (*projected_backward)(const ViewState&, const ProjectedGradients&, const Scene&, const Gradients&, int threads);
};

constexpr int chunks_of(int64_t gaussians) { return static_cast<int>((gaussians + kChunk - 1) / kChunk); }

// With `chosen`, only the tiles in which some of these Gaussians lie are sorted, and view.tile_ends says where; `with_slots` is
// needed then.
void sort_and_bin(ViewState& view, bool with_slots, int threads, const GaussianRange* chosen = nullptr);

static inline float float_of_half(uint16_t half) {
    uint32_t bits = static_cast<uint32_t>(half & 0x7fff) << 13;  // exponent and mantissa, as if the bias were the same
    float value;
    __builtin_memcpy(&value, &bits, 4);
    value *= 0x1p112f;  // the difference of the biases; right for subnormal halves too
    if (value >= 65536.f) value = half & 0x3ff ? __builtin_nanf("") : __builtin_inff();
    return half & 0x8000 ? -value : value;
}

static inline float float_of_bfloat(uint16_t bfloat) {
    const uint32_t bits = static_cast<uint32_t>(bfloat) << 16;
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}

// Calls put(c, value) for colour channels first + c of a Gaussian, c < count.
template <class Put>
static inline void read_colors(const Scene& scene, size_t gaussian, int first, int count, Put put) {
    const size_t at = gaussian * scene.channels + first;
    if (scene.colors_type == Scalar::float32) {
        const float* colors = static_cast<const float*>(scene.colors) + at;
        for (int c = 0; c < count; c++) put(c, colors[c]);
        return;
    }
    const uint16_t* colors = static_cast<const uint16_t*>(scene.colors) + at;
    const bool half = scene.colors_type == Scalar::float16;
    for (int c = 0; c < count; c++) put(c, half ? float_of_half(colors[c]) : float_of_bfloat(colors[c]));
}

// Writes a Gaussian's channels of one group into its record; false if one of them is not finite.
static inline bool fill_channels(
    float* record, const ChannelGroup& group, const Scene& scene, size_t gaussian, const SeenGaussian& seen) {
    float* channels = record + kRecordGeometry;
    float check = 0.f;
    const auto put = [&](int c, float value) {
        channels[c] = value;
        check += value * 0.f;
    };
    const int harmonics = scene.harmonic_channels();
    int before = 0;
    for (; group.first + before < harmonics; before++) put(before, seen.rgb[group.first + before]);
    read_colors(
        scene, gaussian, group.first + before - harmonics, group.colors_end() - before,
        [&](int c, float value) { put(before + c, value); });
    if (group.has_back()) put(group.back_channel - group.first, seen.back);
    if (group.has_depth()) put(group.depth_channel - group.first, seen.depth);
    for (int c = group.used; c < group.padded; c++) channels[c] = 0.f;
    return check == 0.f;
}

}  // namespace splatmem
