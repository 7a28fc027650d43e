// Gaussian splats of a .spz file (Niantic's format, versions 2 and 3) whose places and rotations are kept byte by byte (page.py),
// and the order in which a view draws them. Axes: x right, y up, z backward. All files of this folder become one script, so
// nothing is imported.

const HEADER = 16;  // bytes
const MAGIC = 0x5053474e;
const COLOUR_SPREAD = 0.15;  // colours are kept as 0.15 of the constant harmonic's coefficient
const HARMONIC = 0.28209479177387814;  // the constant one
const REACH = 3.33;  // standard deviations at which an opaque Gaussian ends: its alpha is 1/255
const NEAR = 0.05;  // the page's unit is a third of the scene's usual distance
const MANTISSA = 12;  // bits of a depth's mantissa by which splats are sorted: to a 4096th of their distance
const BUCKETS = 1 << 17;

class Splats {
  /** @param {Uint8Array} bytes an unpacked .spz, its places and rotations byte by byte */
  constructor(bytes) {
    const head = new DataView(bytes.buffer, bytes.byteOffset);
    const version = head.getUint32(4, true);
    if (head.getUint32(0, true) !== MAGIC || version < 2 || version > 3) throw new Error("this is no .spz of version 2 or 3");
    const n = this.count = head.getUint32(8, true);
    const step = 2 ** -head.getUint8(13);
    let at = HEADER;
    const part = (width) => bytes.subarray(at, (at += n * width));
    const places = part(9), alphas = part(1), colours = part(3), scales = part(3), turns = part(version === 2 ? 3 : 4);

    this.places = new Float32Array(3 * n);
    this.radii = new Float32Array(n);
    this.covariances = new Float32Array(6 * n);  // xx, xy, xz, yy, yz, zz
    this.colours = new Uint8Array(4 * n);
    for (let axis = 0; axis < 3; axis++) {
      const [low, middle, high] = [0, 1, 2].map((byte) => places.subarray((3 * axis + byte) * n, (3 * axis + byte + 1) * n));
      for (let i = 0; i < n; i++) this.places[3 * i + axis] = ((low[i] | (middle[i] << 8) | (high[i] << 16)) << 8 >> 8) * step;
    }
    const turn = new Float32Array(4), size = new Float32Array(3);
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < 3; k++) {
        const coefficient = (colours[3 * i + k] / 255 - 0.5) / COLOUR_SPREAD;
        this.colours[4 * i + k] = Math.round(255 * Math.min(Math.max(0.5 + HARMONIC * coefficient, 0), 1));
        size[k] = Math.exp(scales[3 * i + k] / 16 - 10);
      }
      this.colours[4 * i + 3] = alphas[i];
      this.radii[i] = REACH * Math.max(...size);
      if (version === 2) turnOfThreeBytes(turns, i, n, turn); else turnOfSmallestThree(turns, i, n, turn);
      covariance(turn, size, this.covariances, 6 * i);
    }
    this.order = new Uint32Array(n);
    this.keys = new Uint32Array(n);
    this.depths = new Float32Array(1);
    this.bits = new Uint32Array(this.depths.buffer);
    this.starts = new Uint32Array(BUCKETS + 1);
  }

  /**
   * Puts what a view may show into `order`, back to front, and returns how many that are.
   * @param {View} view
   * @param {number} some only the first so many splats
   */
  sort(view, some = this.count) {
    const { places, radii, keys, order, starts, depths, bits } = this;
    const [tangentX, tangentY] = view.tangents;
    const slopeX = Math.hypot(1, tangentX), slopeY = Math.hypot(1, tangentY);
    const [rightX, upX, backX, rightY, upY, backY, rightZ, upZ, backZ] = view.turn;
    const [placeX, placeY, placeZ] = view.place;
    depths[0] = NEAR;
    const first = bits[0] >>> (23 - MANTISSA);
    starts.fill(0);
    for (let i = 0; i < some; i++) {
      const x = places[3 * i] - placeX, y = places[3 * i + 1] - placeY, z = places[3 * i + 2] - placeZ;
      const depth = -(backX * x + backY * y + backZ * z);
      const beyond = Math.max(
        (Math.abs(rightX * x + rightY * y + rightZ * z) - tangentX * depth) / slopeX,
        (Math.abs(upX * x + upY * y + upZ * z) - tangentY * depth) / slopeY,
      );
      if (depth < NEAR || beyond > radii[i]) {
        keys[i] = BUCKETS;
        continue;
      }
      depths[0] = depth;
      keys[i] = BUCKETS - 1 - Math.min((bits[0] >>> (23 - MANTISSA)) - first, BUCKETS - 1);
      starts[keys[i] + 1]++;
    }
    for (let k = 1; k <= BUCKETS; k++) starts[k] += starts[k - 1];
    const shown = starts[BUCKETS];
    for (let i = 0; i < some; i++) if (keys[i] < BUCKETS) order[starts[keys[i]]++] = i;
    return shown;
  }

  /**
   * How far away, along the view's axis, the nearest splat is whose middle shows near a point of the picture.
   * @param {View} view
   * @param {number} x, y the point as tangents, right and up of the picture's middle
   * @returns {number | null}
   */
  depthAt(view, x, y) {
    const { places } = this, near = 0.02 * view.tangents[1];
    const [rightX, upX, backX, rightY, upY, backY, rightZ, upZ, backZ] = view.turn;
    const [placeX, placeY, placeZ] = view.place;
    let least = Infinity;
    for (let i = 0; i < this.count; i++) {
      const dx = places[3 * i] - placeX, dy = places[3 * i + 1] - placeY, dz = places[3 * i + 2] - placeZ;
      const depth = -(backX * dx + backY * dy + backZ * dz);
      if (depth < NEAR || depth > least) continue;
      if (Math.abs(rightX * dx + rightY * dy + rightZ * dz - x * depth) > near * depth) continue;
      if (Math.abs(upX * dx + upY * dy + upZ * dz - y * depth) <= near * depth) least = depth;
    }
    return least < Infinity ? least : null;
  }
}

/** A unit quaternion (x, y, z, w) of three signed bytes. */
function turnOfThreeBytes(bytes, i, n, turn) {
  let rest = 1;
  for (let k = 0; k < 3; k++) {
    turn[k] = bytes[k * n + i] / 127.5 - 1;
    rest -= turn[k] ** 2;
  }
  turn[3] = Math.sqrt(Math.max(rest, 0));
}

/** A unit quaternion (x, y, z, w) of its three smaller components, each in nine bits and a sign. */
function turnOfSmallestThree(bytes, i, n, turn) {
  let packed = (bytes[i] | (bytes[n + i] << 8) | (bytes[2 * n + i] << 16) | (bytes[3 * n + i] << 24)) >>> 0;
  const largest = packed >>> 30;
  let rest = 1;
  for (let k = 3; k >= 0; k--) {
    if (k === largest) continue;
    const size = Math.SQRT1_2 * (packed & 511) / 511;
    turn[k] = packed & 512 ? -size : size;
    rest -= size * size;
    packed >>>= 10;
  }
  turn[largest] = Math.sqrt(Math.max(rest, 0));
}

/** R S S R^T of a rotation and three sizes, its upper triangle row by row. */
function covariance([x, y, z, w], [sx, sy, sz], into, at) {
  const axes = [
    [(1 - 2 * (y * y + z * z)) * sx, 2 * (x * y - w * z) * sy, 2 * (x * z + w * y) * sz],
    [2 * (x * y + w * z) * sx, (1 - 2 * (x * x + z * z)) * sy, 2 * (y * z - w * x) * sz],
    [2 * (x * z - w * y) * sx, 2 * (y * z + w * x) * sy, (1 - 2 * (x * x + y * y)) * sz],
  ];
  for (let row = 0; row < 3; row++) {
    for (let column = row; column < 3; column++) {
      into[at++] = axes[row][0] * axes[column][0] + axes[row][1] * axes[column][1] + axes[row][2] * axes[column][2];
    }
  }
}

/** The bytes of a gzip stream in base64. */
async function unpacked(text) {
  const letters = atob(text), packed = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) packed[i] = letters.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer().catch(() => { throw new Error("the file is damaged"); }));
}
