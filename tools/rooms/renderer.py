"""Off-screen rendering of baked rooms: colour, z-depth and labels, through OpenGL on EGL (Mesa's software renderer will do)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image
from splatmem.io.pictures import open_picture

from rooms.labels import SKY
from rooms.lighting import BakedLight
from rooms.meshes import Mesh
from rooms.quake_levels import Level

NEAR, FAR = 0.03, 300.0
MAX_TEXTURE = 512
EDGE_RATIO = 1.05
"""Sub-samples whose depths differ by more than this belong to different surfaces."""

SURFACE_VERTEX_SHADER = """#version 330
in vec3 position; in vec2 uv; in vec3 light; in vec2 light_uv;
uniform mat4 view; uniform mat4 projection;
out vec2 surface_uv; out vec3 surface_light; out vec2 map_uv; out float depth;
void main() {
    vec4 eye = view * vec4(position, 1);
    gl_Position = projection * eye;
    surface_uv = uv; surface_light = light; map_uv = light_uv; depth = -eye.z;
}"""
# Highlights above 0.6 are compressed, as a camera would. Alpha carries the label: nothing is blended.
SURFACE_FRAGMENT_SHADER = """#version 330
in vec2 surface_uv; in vec3 surface_light; in vec2 map_uv; in float depth;
uniform sampler2D surface_texture; uniform sampler2D light_map; uniform bool light_mapped;
uniform vec3 diffuse; uniform float exposure; uniform float label;
layout(location = 0) out vec4 colour; layout(location = 1) out float depth_out;
void main() {
    vec4 texel = texture(surface_texture, surface_uv);
    if (texel.a < 0.3) discard;
    vec3 light = light_mapped ? surface_light * texture(light_map, map_uv).rgb : surface_light;
    vec3 radiance = pow(texel.rgb * diffuse, vec3(2.2)) * light * exposure;
    radiance /= 1.0 + 0.25 * max(radiance - 0.6, 0.0);
    colour = vec4(pow(clamp(radiance, 0, 1), vec3(1 / 2.2)), label);
    depth_out = depth;
}"""
BACKDROP_VERTEX_SHADER = """#version 330
in vec2 corner; out vec2 screen;
void main() { screen = corner; gl_Position = vec4(corner, 1, 1); }"""
BACKDROP_FRAGMENT_SHADER = """#version 330
in vec2 screen;
uniform sampler2D panorama; uniform mat3 camera_to_world; uniform vec2 half_extent; uniform float label;
layout(location = 0) out vec4 colour; layout(location = 1) out float depth_out;
void main() {
    vec3 ray = normalize(camera_to_world * vec3(screen * half_extent, -1));
    float u = atan(ray.x, -ray.z) / 6.2831853 + 0.5;
    float v = acos(clamp(ray.y, -1, 1)) / 3.14159265;
    colour = vec4(textureLod(panorama, vec2(u, v), 0.0).rgb, label);
    depth_out = 0.0;
}"""


@dataclass(frozen=True, eq=False)
class Batch:
    """Triangles of one material and label, on the device."""

    vertex_array: Any
    buffers: tuple[Any, ...]
    texture: Any
    diffuse: tuple[float, float, float]
    label: int
    light_map: Any = None
    """A texture that multiplies the light at the vertices."""


class Rendering(NamedTuple):
    """One picture: display values, z-depth in metres (0 where the backdrop shows), and ``rooms.labels`` (SKY there)."""

    rgb: UInt8[ndarray, "h w 3"]
    depth: Float[ndarray, "h w"]
    labels: UInt8[ndarray, "h w"]


class Renderer:
    """One off-screen target of fixed size; scenes are uploaded, drawn from any camera, and released.

    ``supersampling`` n draws n x n sub-samples for each pixel.
    """

    def __init__(self, width: int, height: int, supersampling: int = 2) -> None:
        import moderngl

        self._gl = moderngl
        self._context: Any = moderngl.create_context(standalone=True, backend="egl")
        self.width, self.height, self.supersampling = width, height, supersampling
        size = (width * supersampling, height * supersampling)
        self._colour = self._context.texture(size, 4)
        self._depth = self._context.texture(size, 1, dtype="f4")
        z_buffer = self._context.depth_renderbuffer(size)
        self._target = self._context.framebuffer([self._colour, self._depth], z_buffer)
        self._surface = self._context.program(SURFACE_VERTEX_SHADER, SURFACE_FRAGMENT_SHADER)
        self._backdrop = self._context.program(BACKDROP_VERTEX_SHADER, BACKDROP_FRAGMENT_SHADER)
        triangle = self._context.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4").tobytes())
        self._screen = self._context.vertex_array(self._backdrop, [(triangle, "2f", "corner")])
        self._backdrop["label"] = SKY / 255
        self._surface["light_map"] = 1
        self._textures: dict[Path, Any] = {}
        self._white = self._make_texture(np.full((2, 2, 4), 255, np.uint8))

    def upload(self, meshes: Sequence[Mesh], light: BakedLight) -> list[Batch]:
        """A scene's meshes with their baked light, one batch for each material."""
        groups: defaultdict[tuple[Path | None, tuple[float, float, float], int], list[ndarray]] = defaultdict(list)
        for mesh, irradiance in zip(meshes, light.corners, strict=True):
            vertices = np.concatenate([mesh.positions, mesh.uvs, irradiance], axis=-1).reshape(-1, 8)
            groups[mesh.material.texture, mesh.material.diffuse, mesh.label].append(vertices.astype(np.float32))
        return [self._batch(np.concatenate(parts), *key) for key, parts in groups.items()]

    def upload_level(self, level: Level) -> list[Batch]:
        """A level's surfaces with their light maps."""
        white = self._make_texture(np.full((1, 1, 3), 255, np.uint8), mipmaps=False)
        maps = [self._make_texture(pixels, mipmaps=False, repeat=False) for pixels in level.light_maps]
        return [
            self._batch(
                np.concatenate([s.mesh.positions, s.mesh.uvs, s.light, s.light_uvs], axis=-1, dtype=np.float32).reshape(-1, 10),
                s.mesh.material.texture,
                s.mesh.material.diffuse,
                s.mesh.label,
                white if s.light_map is None else maps[s.light_map],
            )
            for s in level.surfaces
        ]

    def _batch(
        self,
        vertices: Float[ndarray, "n 8"] | Float[ndarray, "n 10"],
        texture: Path | None,
        diffuse: tuple[float, float, float],
        label: int,
        light_map: Any = None,
    ) -> Batch:
        """Vertices: position, texture coordinates, light, and coordinates in the light map where there is one."""
        _, first, index = np.unique(_row_hashes(vertices), return_index=True, return_inverse=True)
        vertex_buffer = self._context.buffer(np.ascontiguousarray(vertices[first]).tobytes())
        index_buffer = self._context.buffer(index.ravel().astype(np.int32).tobytes())
        layout: list[tuple[Any, ...]] = [(vertex_buffer, "3f 2f 3f", "position", "uv", "light")]
        if light_map is not None:
            layout = [(vertex_buffer, "3f 2f 3f 2f", "position", "uv", "light", "light_uv")]
        vertex_array = self._context.vertex_array(self._surface, layout, index_buffer=index_buffer, index_element_size=4)
        buffers = (vertex_buffer, index_buffer)
        return Batch(vertex_array, buffers, self._load_texture(texture), diffuse, label, light_map)

    def upload_backdrop(self, panorama: UInt8[ndarray, "h w 3"]) -> Any:
        """A panorama as texture; release it when the scene is done."""
        return self._make_texture(panorama, mipmaps=False)

    def release(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            batch.vertex_array.release()
            for buffer in batch.buffers:
                buffer.release()
        for light_map in {id(batch.light_map): batch.light_map for batch in batches}.values():
            if light_map is not None:
                light_map.release()

    def release_textures(self) -> None:
        """Forgets the texture files it has read; no batch may use them any more."""
        for texture in self._textures.values():
            if texture is not self._white:
                texture.release()
        self._textures.clear()

    def render(
        self,
        batches: Sequence[Batch],
        backdrop: Any,
        cam_to_world: Float[ndarray, "4 4"],
        fov_x_degrees: float,
        exposure: float,
    ) -> Rendering:
        """What the camera, in OpenGL's convention, sees."""
        half_width = np.tan(np.radians(fov_x_degrees) / 2)
        half_height = half_width * self.height / self.width
        self._target.use()
        self._target.color_mask = ((True,) * 4,) * 2
        self._target.clear(0.0, 0.0, 0.0, 1.0, depth=1.0)
        self._context.disable(self._gl.DEPTH_TEST)
        self._backdrop["camera_to_world"].write(cam_to_world[:3, :3].T.astype("f4").tobytes())
        self._backdrop["half_extent"] = (half_width, half_height)
        backdrop.use(0)
        self._screen.render()
        self._context.enable(self._gl.DEPTH_TEST)
        projection = _perspective(half_width, half_height)
        # OpenGL wants columns first.
        self._surface["projection"].write(projection.T.astype("f4").tobytes())
        self._surface["view"].write(np.linalg.inv(cam_to_world).T.astype("f4").tobytes())
        self._surface["exposure"] = exposure
        for batch in sorted(batches, key=lambda batch: batch.label != SKY):
            # Surfaces of the sky are windows to the backdrop: they are drawn first, into the z-buffer alone.
            self._target.color_mask = ((batch.label != SKY,) * 4,) * 2
            batch.texture.use(0)
            self._surface["diffuse"] = batch.diffuse
            self._surface["label"] = batch.label / 255
            self._surface["light_mapped"] = batch.light_map is not None
            (batch.light_map or self._white).use(1)
            batch.vertex_array.render()
        return self._read()

    def _read(self) -> Rendering:
        n = self.supersampling
        # OpenGL's first row is the lowest.
        pixels = np.frombuffer(self._colour.read(), np.uint8).reshape(self.height * n, self.width * n, 4)[::-1]
        depth = np.frombuffer(self._depth.read(), np.float32).reshape(self.height * n, self.width * n)[::-1]
        if n == 1:
            return Rendering(pixels[..., :3].copy(), depth.copy(), pixels[..., 3].copy())
        total = sum(samples.astype(np.uint16) for samples in sub_samples(pixels, n))
        samples = np.stack(sub_samples(depth, n))
        resolved = resolve_depth(samples)
        labels = resolve_labels(np.stack(sub_samples(pixels[..., 3], n)), samples, resolved)
        rgb = (total[..., :3] + n * n // 2) // (n * n)
        return Rendering(rgb.astype(np.uint8), resolved, labels)

    def _load_texture(self, path: Path | None) -> Any:
        """A texture file; plain white if there is none or it cannot be read."""
        if path is None:
            return self._white
        if path not in self._textures:
            try:
                with open_picture(path) as image:
                    image = image.convert("RGBA")
                    image.thumbnail((MAX_TEXTURE, MAX_TEXTURE), Image.Resampling.BILINEAR)
                    self._textures[path] = self._make_texture(np.asarray(image)[::-1])
            except (OSError, ValueError):
                self._textures[path] = self._white
        return self._textures[path]

    def _make_texture(self, pixels: UInt8[ndarray, "h w c"], mipmaps: bool = True, repeat: bool = True) -> Any:
        height, width, channels = pixels.shape
        texture = self._context.texture((width, height), channels, np.ascontiguousarray(pixels).tobytes(), alignment=1)
        if mipmaps:
            texture.build_mipmaps()
            texture.filter = (self._gl.LINEAR_MIPMAP_LINEAR, self._gl.LINEAR)
        texture.repeat_x = texture.repeat_y = repeat
        return texture


def _row_hashes(rows: Float[ndarray, "n d"]) -> ndarray:
    """A 64-bit hash of each row: sorting these is many times faster than sorting rows."""
    words = np.ascontiguousarray(rows).view(np.uint32).astype(np.uint64)
    multipliers = np.arange(1, rows.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) | np.uint64(1)
    return words @ multipliers


def sub_samples(picture: ndarray, n: int) -> list[ndarray]:
    """The n x n pictures of one sub-sample of each pixel: numpy is many times faster on these than on blocks of n x n."""
    return [picture[row::n, column::n] for row in range(n) for column in range(n)]


def resolve_depth(samples: Float[ndarray, "k h w"]) -> Float[ndarray, "h w"]:
    """One depth for each pixel from its k sub-samples.

    Inverse depth is linear in the image on a plane, so its mean over a pixel is its value at the pixel's centre. At an edge
    depths are not mixed: the nearest surface wins if it covers half of the pixel, else the backdrop or the farthest.
    """
    there = samples > 0
    nearest = np.where(there, samples, np.inf).min(0)
    farthest = np.where(there.all(0), samples.max(0), 0.0)
    on_nearest = there & (samples <= nearest * EDGE_RATIO)
    inverse = np.where(on_nearest, 1.0 / np.maximum(samples, 1e-6), 0.0).sum(0)
    count = on_nearest.sum(0)
    smooth = np.divide(count, inverse, out=np.zeros_like(inverse), where=count > 0)
    return np.where(2 * count >= len(samples), smooth, farthest).astype(np.float32)


def resolve_labels(
    labels: UInt8[ndarray, "k h w"], samples: Float[ndarray, "k h w"], resolved: Float[ndarray, "h w"]
) -> UInt8[ndarray, "h w"]:
    """For each pixel the label of the sub-sample whose depth is closest to the pixel's: both have the same edges."""
    closest = np.abs(samples - resolved).argmin(0)
    return np.take_along_axis(labels, closest[None], axis=0)[0]


def _perspective(half_width: float, half_height: float) -> Float[ndarray, "4 4"]:
    """OpenGL's projection for a symmetric frustum with these half extents at distance 1."""
    return np.array(
        [
            [1 / half_width, 0, 0, 0],
            [0, 1 / half_height, 0, 0],
            [0, 0, -(FAR + NEAR) / (FAR - NEAR), -2 * FAR * NEAR / (FAR - NEAR)],
            [0, 0, -1, 0],
        ]
    )
