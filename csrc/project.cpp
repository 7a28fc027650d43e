// Stage 1: projects the scene's Gaussians into a view and keeps a compact record of each one that is visible.
#include <cmath>

#include "ewa.h"
#include "harmonics.h"
#include "threads.h"
#include "view.h"

namespace splatmem::SPLATMEM_ISA {
namespace {

constexpr int kChunkPadded = kChunk + 16;
constexpr float kRootHalfLog2E = 0.8493218002880191f;  // sqrt(log2(e) / 2)
constexpr float kHuge = 1e20f;  // square pixels; beyond that a Gaussian counts as not finite

// Slack in the exponent (2 ln(255 opacity)) of the ellipse's bounds, for the rounding of alphas and of the rows.
constexpr float kBoundSlack = 3e-3f;

// A cheap conservative test that leaves most of what is out of view to one multiply-add chain: the ellipse's half extent is at
// most 3.33 (|row of J| max(s) + sqrt(eps2d)), plus one pixel that gsplat rounds up by.
struct CoarseCull {
    float radius_per_scale, radius_extra;

    explicit CoarseCull(const Projector& p) {
        const Camera& c = p.camera;
        const auto row = [](float focal, float low, float high) {
            const float steepest = low * low > high * high ? low : high;
            return focal * __builtin_sqrtf(1.f + steepest * steepest);
        };
        const float row_x = row(c.fx, p.left, p.right), row_y = row(c.fy, p.top, p.bottom);
        radius_per_scale = 1.01f * kMaxExtent * (row_x > row_y ? row_x : row_y);
        radius_extra = kMaxExtent * __builtin_sqrtf(c.eps2d) + 1.5f;
    }

    // The same for a whole chunk. Times z, each side of the test of the image's borders is linear in a Gaussian's place, so its
    // largest value over a box of places is had from the box's centre and half diagonal.
    bool maybe_visible(const Camera& c, const ChunkBox& box) const {
        const bool ortho = c.model == CameraModel::ortho;
        const float* w = c.rotation;
        // The largest value over the box of x t.x + y t.y + z t.z + shift, with a margin for rounding.
        const auto largest = [&](float x, float y, float z, float shift) {
            float sum = shift + x * c.translation[0] + y * c.translation[1] + z * c.translation[2], size = std::fabs(sum);
            for (int k = 0; k < 3; k++) {
                const float slope = x * w[k] + y * w[3 + k] + z * w[6 + k];
                const float centre = 0.5f * (box.low[k] + box.high[k]), half = 0.5f * (box.high[k] - box.low[k]);
                const float along = slope * centre, across = std::fabs(slope) * half;
                sum += along + across;
                size += std::fabs(along) + across;
            }
            return sum + 1e-5f * size;
        };
        const float radius = radius_per_scale * box.largest_scale;
        const auto inside = [&](float x, float y, float border, float sign) {  // sign (pixel - border) + radius > 0
            const float constant = sign * border + radius_extra;
            return !(largest(x, y, ortho ? 0.f : constant, ortho ? constant + radius : radius) < 0.f);
        };
        return !(largest(0.f, 0.f, 1.f, -c.near_plane) < 0.f) && !(largest(0.f, 0.f, -1.f, c.far_plane) < 0.f) &&
               inside(c.fx, 0.f, c.cx, 1.f) && inside(-c.fx, 0.f, c.cx - static_cast<float>(c.width), -1.f) &&
               inside(0.f, c.fy, c.cy, 1.f) && inside(0.f, -c.fy, c.cy - static_cast<float>(c.height), -1.f);
    }

    LANES_INLINE unsigned maybe_visible(const Camera& c, const float* means, const float* scales, const int32_t* index) const {
        const Vec3 t = to_camera(c, triples(means, index)), s = triples(scales, index);
        const Float16 inv_z = c.model == CameraModel::ortho ? Float16(1.f) : reciprocal(t.z);
        const Float16 x = fma(c.fx * t.x, inv_z, c.cx), y = fma(c.fy * t.y, inv_z, c.cy);
        const Float16 largest = max(abs(s.x), max(abs(s.y), abs(s.z)));
        const Float16 radius = fma(largest * inv_z, radius_per_scale, radius_extra);
        return bits(
            (t.z >= c.near_plane) & (t.z <= c.far_plane) & (x + radius > 0.f) & (x - radius < static_cast<float>(c.width)) &
            (y + radius > 0.f) & (y - radius < static_cast<float>(c.height)));
    }
};

// Between 0 for Gaussians seen from their front, the side of the local z axis n, and 1 for those seen from behind; with the
// cosine -n.t / |t| it turns where |cosine| < kGrazing. Rays of an orthographic camera are all along its z axis.
LANES_INLINE Float16 backfacing(const Ewa& ewa, const Camera& camera) {
    const float* w = camera.rotation;
    const auto normal = [&](int row) {
        return w[3 * row] * ewa.rotation[2] + w[3 * row + 1] * ewa.rotation[5] + w[3 * row + 2] * ewa.rotation[8];
    };
    Float16 cosine = -normal(2);
    if (camera.model == CameraModel::pinhole) {
        const Vec3& t = ewa.t;
        const Float16 distance = sqrt(fma(t.x, t.x, fma(t.y, t.y, t.z * t.z)));
        cosine = fma(cosine, t.z, -(normal(0) * t.x + normal(1) * t.y)) / distance;
    }
    return clamp(fnma(cosine, 0.5f / kGrazing, 0.5f), 0.f, 1.f);
}

// A record's channels beside its geometry, as they are for sixteen Gaussians at once.
constexpr int kBesideGeometry = 16 - kRecordGeometry, kLaneChannels = 8;

// Whether a view's channels are looked up for sixteen Gaussians at once: not where there are many, of halves, or where the
// harmonics depend on the direction, which take a loop over the Gaussians (fill_channels).
bool has_lane_channels(const ChannelGroup& group, const Scene& scene) {
    const bool colors = scene.channels == 0 ||
                        (scene.colors_type == Scalar::float32 && scene.count * scene.channels < (int64_t{1} << 31));
    return group.image_channels <= kLaneChannels && colors && scene.bands <= 1;
}

// Looks them up; returns which Gaussians have finite ones.
LANES_INLINE unsigned look_up_channels(
    const ChannelGroup& group, const Scene& scene, const int32_t* index, Float16 depth, Float16 back, Float16* channels) {
    int at = 0;
    const auto put = [&](Float16 channel) { channels[at++] = channel; };
    const auto put_triple = [&](const Vec3& rgb) {
        put(rgb.x);
        put(rgb.y);
        put(rgb.z);
    };
    if (scene.harmonic_channels()) put_triple(constant_colors(scene, index));
    const float* colors = static_cast<const float*>(scene.colors);
    if (scene.channels == 3) {
        put_triple(triples(colors, index));
    } else {
        for (int c = 0; c < scene.channels; c++) put(gather(colors + c, index, scene.channels));
    }
    if (group.back_channel >= 0) put(back);
    if (group.depth_channel >= 0) put(depth);
    Float16 check = 0.f;
    for (int c = 0; c < at; c++) check = fma(channels[c], 0.f, check);
    while (at < kLaneChannels) put(0.f);
    return bits(check >= 0.f);
}

// The geometry of sixteen records, and which of them are visible.
struct ProjectedLanes {
    alignas(64) float records[16][16];  // a lane's record up to its fourth channel: the channels only if looked up here
    alignas(64) float beyond[kLaneChannels - kBesideGeometry][16];  // and its further channels
    alignas(64) float depth[16], back[16];
    alignas(64) float tiles[4][16];  // x0, x1, y0, y1 of the TileBox
    unsigned visible;

    LANES_INLINE ProjectedLanes(
        const Projector& projector, const Scene& scene, const int32_t* index, int tile, const ChannelGroup& group,
        bool with_channels) {
        const Camera& c = projector.camera;
        const Ewa ewa(projector, scene, index);
        Float16 opacity = gather(scene.opacities, index, 1);
        const Float16* u = ewa.u;

        // Sigma' = U U^T + eps I.
        const Float16 eps = c.eps2d;
        const Float16 xx = fma(u[0], u[0], fma(u[1], u[1], u[2] * u[2]));
        const Float16 yy = fma(u[3], u[3], fma(u[4], u[4], u[5] * u[5]));
        const Float16 xy = fma(u[0], u[3], fma(u[1], u[4], u[2] * u[5]));
        const Float16 sharp_det = ewa.determinant(), det = fma(eps, xx + yy + eps, sharp_det);
        const Float16 cov_xx = xx + eps, cov_yy = yy + eps;
        const Float16 inv_det = Float16(1.f) / det;
        if (c.antialiased) opacity = opacity * sqrt(sharp_det * inv_det);
        const Float16 conic_xx = cov_yy * inv_det, conic_yy = cov_xx * inv_det;

        // gsplat's radii: alpha falls to 1/255 at sqrt(2 ln(255 opacity)) standard deviations (StopThePop, Radl et al. 2024).
        const Float16 x = fma(c.fx * ewa.t.x, ewa.inv_z, c.cx), y = fma(c.fy * ewa.t.y, ewa.inv_z, c.cy);
        const Float16 sigma_x = sqrt(cov_xx), sigma_y = sqrt(cov_yy);
        const Float16 log2_opacity = log2(opacity), exponent = max((2.f * kLn2) * (log2_opacity - kLog2MinAlpha), 0.f);
        const Float16 extent = min(sqrt(exponent), kMaxExtent);
        const Float16 radius_x = ceil(extent * sigma_x), radius_y = ceil(extent * sigma_y);
        const float width = static_cast<float>(c.width), height = static_cast<float>(c.height);
        visible = bits(
            (det > 0.f) & (cov_xx < kHuge) & (cov_yy < kHuge) & (conic_xx < kHuge) & (conic_yy < kHuge) &
            (opacity >= kMinAlpha) & (opacity < kHuge) & (x + radius_x > 0.f) & (x - radius_x < width) &
            (y + radius_y > 0.f) & (y - radius_y < height));
        visible &= ~bits((radius_x <= c.radius_clip) & (radius_y <= c.radius_clip));

        // The exact ellipse d^T conic d = reach' and its box; only the pixels whose centres the box holds matter.
        const Float16 bound = exponent + kBoundSlack, bound_sigmas = sqrt(bound);
        const Float16 half_width = bound_sigmas * sigma_x, half_height = bound_sigmas * sigma_y;
        const Float16 pixel_x = x - 0.5f, pixel_y = y - 0.5f;
        const Float16 x0 = max(ceil(pixel_x - half_width), 0.f), x1 = min(floor(pixel_x + half_width), width - 1.f);
        const Float16 y0 = max(ceil(pixel_y - half_height), 0.f), y1 = min(floor(pixel_y + half_height), height - 1.f);
        visible &= bits((x1 >= x0) & (y1 >= y0));
        const float per_tile = 1.f / tile;
        store(tiles[0], floor(x0 * per_tile));
        store(tiles[1], floor(x1 * per_tile) + 1.f);
        store(tiles[2], floor(y0 * per_tile));
        store(tiles[3], floor(y1 * per_tile) + 1.f);

        // A row of the ellipse: xx dx^2 + 2 xy dx dy + yy dy^2 <= bound is solved by
        //   dx = -(xy/xx) dy +- sqrt(bound / xx - (xx yy - xy^2) / xx^2 dy^2), with xx yy - xy^2 = 1 / det.
        const Float16 inv_yy = Float16(1.f) / cov_yy, reach = bound * det * inv_yy;  // 1 / conic_xx = det / cov_yy
        // A Cholesky factor of the conic, whose Schur complement conic_yy - conic_xy^2 / conic_xx is 1 / cov_yy.
        const Float16 slope = xy * inv_yy, scaled_sigma_y = kRootHalfLog2E * sigma_y;
        const Float16 root_xx = scaled_sigma_y * sqrt(inv_det), root_yy = scaled_sigma_y * inv_yy;
        Float16 geometry[16] = {
            pixel_x,
            pixel_y,
            root_xx,
            -(root_xx * slope),
            root_yy,
            opacity,
            log2_opacity,
            half_height,
            slope,
            det * inv_yy * inv_yy,
            reach,
            bound_sigmas * xy / sigma_x,  // where the ellipse is widest: dy = cov_xy / cov_xx * half_width
            0.f, 0.f, 0.f, 0.f,
        };
        const Float16 from_behind = group.back_channel >= 0 ? backfacing(ewa, c) : Float16(0.f);
        store(depth, ewa.t.z);
        if (with_channels) {
            Float16 channels[kLaneChannels];
            visible &= look_up_channels(group, scene, index, ewa.t.z, from_behind, channels);
            for (int k = 0; k < kBesideGeometry; k++) geometry[kRecordGeometry + k] = channels[k];
            if (group.padded > kBesideGeometry)
                for (int k = kBesideGeometry; k < kLaneChannels; k++) store(beyond[k - kBesideGeometry], channels[k]);
        } else {
            store(back, from_behind);
        }
        store_transposed(records, geometry);
    }
};

// Indices of the chunk's Gaussians that pass the coarse test; the last one is repeated up to a multiple of 16.
int coarse_pass(const CoarseCull& cull, const Camera& camera, const Scene& scene, int begin, int end, int32_t* candidates) {
    int count = 0;
    alignas(64) int32_t index[16];
    for (int first = begin; first < end; first += 16) {
        for (int lane = 0; lane < 16; lane++) index[lane] = first + lane < end ? first + lane : end - 1;
        unsigned mask = cull.maybe_visible(camera, scene.means, scene.scales, index);
        if (first + 16 > end) mask &= (1u << (end - first)) - 1;
        for (; mask; mask &= mask - 1) candidates[count++] = first + __builtin_ctz(mask);
    }
    for (int i = count; i & 15; i++) candidates[i] = candidates[count - 1];
    return count;
}

// Whether the colours of the groups after the first are finite; the first group's are checked where they are copied.
bool is_finite_beyond(const Scene& scene, const ChannelGroup& group, size_t gaussian) {
    const int first = group.first + group.used - scene.harmonic_channels();
    float check = 0.f;
    read_colors(scene, gaussian, first, scene.channels - first, [&](int, float value) { check += value * 0.f; });
    return check == 0.f;
}

// Appends what is visible of sixteen Gaussians to its chunk.
class ChunkWriter {
  public:
    ChunkWriter(ViewState& view, const Scene& scene, size_t begin, bool lane_channels)
        : view_(view), scene_(scene), begin_(begin), lane_channels_(lane_channels) {}

    LANES_INLINE void add(const ProjectedLanes& lanes, const int32_t* index) {
        if (!lane_channels_ && scene_.harmonic_channels() && lanes.visible)
            seen_harmonics_.look(view_.camera, scene_, index);
        for (unsigned mask = lanes.visible; mask; mask &= mask - 1) {
            const int lane = __builtin_ctz(mask);
            const size_t gaussian = static_cast<size_t>(index[lane]), at = begin_ + chunk_.visible;
            float* record = view_.records.data() + at * view_.stride;
            if (lane_channels_) {
                __builtin_memcpy(record, lanes.records[lane], sizeof lanes.records[lane]);
                for (int k = kBesideGeometry; k < view_.first_group.padded; k++)
                    record[kRecordGeometry + k] = lanes.beyond[k - kBesideGeometry][lane];
            } else {
                if (!fill_channels_of(lanes, lane, gaussian, at)) continue;
                __builtin_memcpy(record, lanes.records[lane], kRecordGeometry * sizeof(float));
            }
            const auto tile = [&](int k) { return static_cast<uint16_t>(lanes.tiles[k][lane]); };
            const TileBox box{tile(0), tile(1), tile(2), tile(3)};
            view_.depths.data()[at] = lanes.depth[lane];
            view_.gaussian_ids.data()[at] = static_cast<uint32_t>(gaussian);
            view_.boxes.data()[at] = box;
            view_.pair_offsets.data()[at] = static_cast<uint32_t>(chunk_.pairs);
            chunk_.pairs += box.area();
            chunk_.visible++;
        }
    }
    const Chunk& chunk() const { return chunk_; }

  private:
    // The channels of one Gaussian's record; false if one of them is not finite.
    LANES_INLINE bool fill_channels_of(const ProjectedLanes& lanes, int lane, size_t gaussian, size_t at) {
        const ChannelGroup& group = view_.first_group;
        SeenGaussian seen{};
        seen.depth = lanes.depth[lane];
        seen.back = lanes.back[lane];
        if (scene_.harmonic_channels()) seen_harmonics_.color(scene_, lane, gaussian, seen.rgb);
        if (group.used < group.image_channels) view_.seen.data()[at] = seen;
        return fill_channels(view_.records.data() + at * view_.stride, group, scene_, gaussian, seen) &&
               is_finite_beyond(scene_, group, gaussian);
    }

    ViewState& view_;
    const Scene& scene_;
    const size_t begin_;
    const bool lane_channels_;
    SeenHarmonics seen_harmonics_;
    Chunk chunk_{};
};

Chunk project_chunk(ViewState& view, const Scene& scene, const Projector& projector, const CoarseCull& cull, int chunk) {
    if (scene.boxes && !cull.maybe_visible(projector.camera, scene.boxes[chunk])) return Chunk{};
    const int64_t begin = static_cast<int64_t>(chunk) * kChunk;
    const int64_t end = begin + kChunk < scene.count ? begin + kChunk : scene.count;
    int32_t candidates[kChunkPadded];
    const int count =
        coarse_pass(cull, projector.camera, scene, static_cast<int>(begin), static_cast<int>(end), candidates);
    const bool lane_channels = has_lane_channels(view.first_group, scene);
    ChunkWriter writer(view, scene, begin, lane_channels);
    for (int i = 0; i < count; i += 16) {
        ProjectedLanes lanes(projector, scene, candidates + i, view.tile, view.first_group, lane_channels);
        if (i + 16 > count) lanes.visible &= (1u << (count - i)) - 1;
        writer.add(lanes, candidates + i);
    }
    return writer.chunk();
}

ChunkBox box_of(const Scene& scene, int64_t begin, int64_t end) {
    constexpr float kInfinity = __builtin_inff();
    ChunkBox box{{kInfinity, kInfinity, kInfinity}, {-kInfinity, -kInfinity, -kInfinity}, 0.f};
    for (int64_t i = begin; i < end; i++)
        for (int k = 0; k < 3; k++) {  // a NaN changes nothing, and its Gaussian is not drawn
            const float x = scene.means[3 * i + k], s = std::fabs(scene.scales[3 * i + k]);
            box.low[k] = x < box.low[k] ? x : box.low[k];
            box.high[k] = x > box.high[k] ? x : box.high[k];
            box.largest_scale = s > box.largest_scale ? s : box.largest_scale;
        }
    return box;
}

}  // namespace

void box_chunks(const Scene& scene, ChunkBox* boxes, int threads) {
    parallel_for(chunks_of(scene.count), threads, [&](int chunk) {
        const int64_t begin = static_cast<int64_t>(chunk) * kChunk, end = begin + kChunk;
        boxes[chunk] = box_of(scene, begin, end < scene.count ? end : scene.count);
    });
}

// Fills view.chunks (but for the running sums), records, depths, gaussian_ids, boxes and pair_offsets, all reserved before.
void project(ViewState& view, const Scene& scene, int threads) {
    const Projector projector(view.camera);
    const CoarseCull cull(projector);
    parallel_for(view.chunk_count, threads, [&](int chunk) {
        view.chunks.data()[chunk] = project_chunk(view, scene, projector, cull, chunk);
    });
}

}  // namespace splatmem::SPLATMEM_ISA
