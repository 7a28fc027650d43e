// Draws splats with WebGL 2: each Gaussian projected as in "EWA splatting" (Zwicker et al. 2001), blended from back to front.

const ROW = 1024;  // splats in a row of the texture that holds them, three texels each
const ORDER_ROW = 4096;
// Splats in an instance. Some drivers, those without a graphics card first of all, take their time for each instance.
const BATCH = 256;
const WIDENED = 0.3;  // square pixels of the film, as in 3DGS: the film's pictures were drawn so

const VERTEX = `#version 300 es
precision highp float;
precision highp int;
uniform highp usampler2D splats, order;
uniform mat3 toCamera;
uniform vec3 place;
uniform vec2 focal, viewport;  // pixels
uniform float widened;  // square pixels
uniform int count;
flat out vec4 colour;
out vec2 offset;  // standard deviations

void main() {
  gl_Position = vec4(0, 0, 2, 1);  // outside: nothing is drawn
  int drawn = gl_InstanceID * ${BATCH} + gl_VertexID / 4;
  if (drawn >= count) return;
  int index = int(texelFetch(order, ivec2(drawn % ${ORDER_ROW}, drawn / ${ORDER_ROW}), 0).r);
  ivec2 texel = ivec2(3 * (index % ${ROW}), index / ${ROW});
  uvec4 first = texelFetch(splats, texel, 0);
  vec4 second = uintBitsToFloat(texelFetch(splats, texel + ivec2(1, 0), 0));
  vec2 third = uintBitsToFloat(texelFetch(splats, texel + ivec2(2, 0), 0).xy);
  mat3 covariance = mat3(second.x, second.y, second.z, second.y, second.w, third.x, second.z, third.x, third.y);
  vec3 middle = toCamera * (uintBitsToFloat(first.xyz) - place);
  float depth = -middle.z;
  vec2 slope = middle.xy / depth;
  vec2 limit = 0.65 * viewport / focal;  // as 3DGS does: the projection is linear only near the picture
  vec2 bounded = clamp(slope, -limit, limit);
  mat3 jacobian = transpose(mat3(focal.x / depth, 0, focal.x * bounded.x / depth, 0, focal.y / depth, focal.y * bounded.y / depth, 0, 0, 0));
  mat3 across = jacobian * toCamera;
  mat3 seen = across * covariance * transpose(across);
  float xx = seen[0][0] + widened, xy = seen[0][1], yy = seen[1][1] + widened;
  float half_sum = 0.5 * (xx + yy);
  float spread = length(vec2(0.5 * (xx - yy), xy));
  vec2 axis = spread < 1e-6 * half_sum ? vec2(1, 0) : normalize(xx > yy ? vec2(0.5 * (xx - yy) + spread, xy) : vec2(xy, spread - 0.5 * (xx - yy)));
  vec2 sizes = sqrt(vec2(half_sum + spread, max(half_sum - spread, 0.0)));
  colour = vec4(first.w & 255u, (first.w >> 8) & 255u, (first.w >> 16) & 255u, first.w >> 24) / 255.0;
  if (colour.a <= 1.0 / 255.0) return;
  int corner = gl_VertexID % 4;
  offset = vec2(corner % 2 * 2 - 1, corner / 2 * 2 - 1) * sqrt(2.0 * log(255.0 * colour.a));
  vec2 pixel = focal * slope + offset.x * sizes.x * axis + offset.y * sizes.y * vec2(-axis.y, axis.x);
  gl_Position = vec4(2.0 * pixel / viewport, 0, 1);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
flat in vec4 colour;
in vec2 offset;
out vec4 pixel;

void main() {
  float alpha = colour.a * exp(-0.5 * dot(offset, offset));
  if (alpha < 1.0 / 255.0) discard;
  pixel = vec4(colour.rgb * alpha, alpha);
}`;

class Painter {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Splats} splats
   */
  constructor(canvas, splats) {
    this.canvas = canvas;
    this.splats = splats;
    const gl = this.gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false, powerPreference: "high-performance" });
    if (gl === null) throw new Error("this browser has no WebGL 2");
    const program = linked(gl);
    gl.useProgram(program);
    this.uniform = (name) => gl.getUniformLocation(program, name);
    gl.uniform1i(this.uniform("splats"), 0);
    gl.uniform1i(this.uniform("order"), 1);
    const rows = Math.max(Math.ceil(splats.count / ROW), 1);
    texture(gl, 0, gl.RGBA32UI, 3 * ROW, rows);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 3 * ROW, rows, gl.RGBA_INTEGER, gl.UNSIGNED_INT, texels(splats, rows));
    texture(gl, 1, gl.R32UI, ORDER_ROW, Math.max(Math.ceil(splats.count / ORDER_ROW), 1));
    this.ordered = new Uint32Array(Math.ceil(splats.count / ORDER_ROW) * ORDER_ROW);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    const corners = Uint16Array.from({ length: 6 * BATCH }, (_, i) => 4 * Math.floor(i / 6) + [0, 1, 2, 2, 1, 3][i % 6]);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, corners, gl.STATIC_DRAW);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.clearColor(0.067, 0.067, 0.067, 1);
  }

  /**
   * @param {View} view
   * @param {number} some only the first so many splats
   */
  paint(view, some) {
    const { gl, canvas, splats } = this;
    const count = splats.sort(view, some), rows = Math.ceil(count / ORDER_ROW);
    this.ordered.set(splats.order.subarray(0, count));
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (count === 0) return;
    gl.activeTexture(gl.TEXTURE1);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, ORDER_ROW, rows, gl.RED_INTEGER, gl.UNSIGNED_INT, this.ordered);
    gl.uniformMatrix3fv(this.uniform("toCamera"), false, view.turn);  // columns are read from rows: the inverse
    gl.uniform3fv(this.uniform("place"), view.place);
    gl.uniform2f(this.uniform("focal"), 0.5 * canvas.width / view.tangents[0], 0.5 * canvas.height / view.tangents[1]);
    gl.uniform2f(this.uniform("viewport"), canvas.width, canvas.height);
    gl.uniform1f(this.uniform("widened"), WIDENED * Math.max(view.enlarged, 1) ** 2);
    gl.uniform1i(this.uniform("count"), count);
    gl.drawElementsInstanced(gl.TRIANGLES, 6 * BATCH, gl.UNSIGNED_SHORT, 0, Math.ceil(count / BATCH));
  }
}

/** Three texels for each splat: place and colour, and the covariance. */
function texels(splats, rows) {
  const all = new Uint32Array(12 * ROW * rows), numbers = new Float32Array(all.buffer);
  const colours = new Uint32Array(splats.colours.buffer);
  for (let i = 0; i < splats.count; i++) {
    numbers.set(splats.places.subarray(3 * i, 3 * i + 3), 12 * i);
    all[12 * i + 3] = colours[i];
    numbers.set(splats.covariances.subarray(6 * i, 6 * i + 6), 12 * i + 4);
  }
  return all;
}

function texture(gl, unit, format, width, height) {
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
}

function linked(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    const shaders = gl.getAttachedShaders(program).map((shader) => gl.getShaderInfoLog(shader));
    throw new Error(`the shaders were refused: ${[gl.getProgramInfoLog(program), ...shaders].join(" ")}`);
  }
  return program;
}
