// A camera: where it stands, how it is turned, and how much it sees; and how it moves.

const CLOSEST_TO_UP = 0.98;  // cosine between the line of sight and the upward direction

class View {
  /**
   * @param {number[]} turn row by row, camera to world; columns are its right, up and back
   * @param {number[]} place
   * @param {number} fovY radians, of the film's picture
   */
  constructor(turn, place, fovY) {
    this.turn = turn;
    this.place = place;
    this.fovY = fovY;
    this.tangents = [1, 1];
    this.enlarged = 1;
  }

  /**
   * The film's picture fits into the window; what is beside it shows as well.
   * @param {number} width, height of the window in its pixels
   * @param {{width: number, height: number}} film
   */
  fit(width, height, film) {
    this.enlarged = Math.min(width / film.width, height / film.height);
    const tangent = Math.tan(this.fovY / 2) / (film.height * this.enlarged);
    this.tangents = [tangent * width, tangent * height];
  }

  axis(column) {
    return [this.turn[column], this.turn[3 + column], this.turn[6 + column]];
  }

  /** A point of the world as the camera sees it: right, up, back. */
  seen(points, at = 0) {
    const [x, y, z] = [0, 1, 2].map((k) => points[at + k] - this.place[k]);
    return [0, 1, 2].map((k) => this.turn[k] * x + this.turn[3 + k] * y + this.turn[6 + k] * z);
  }

  /** The point of the world at a depth, at a point of the picture as tangents. */
  pointAt(x, y, depth) {
    return this.place.map((p, k) => p + depth * (this.turn[3 * k] * x + this.turn[3 * k + 1] * y - this.turn[3 * k + 2]));
  }

  /** Turns the head: to the left about the upward direction, and upwards. */
  look(left, upwards, up) {
    this.turn = times(rotation(up, left), this.turn);
    const tilted = times(rotation(this.axis(0), upwards), this.turn);
    if (Math.abs(dot([tilted[2], tilted[5], tilted[8]], up)) < CLOSEST_TO_UP) this.turn = tilted;
    this.turn = straightened(this.turn);
  }

  /** Goes round a point of the world, and goes on facing it as before. */
  round(pivot, left, upwards, up) {
    const before = this.seen(pivot);
    this.look(left, upwards, up);
    const [x, y, z] = before;
    this.place = pivot.map((p, k) => p - (this.turn[3 * k] * x + this.turn[3 * k + 1] * y + this.turn[3 * k + 2] * z));
  }

  /** Goes right, up and back. */
  walk(right, up, back) {
    this.place = this.place.map((p, k) => p + this.turn[3 * k] * right + this.turn[3 * k + 1] * up + this.turn[3 * k + 2] * back);
  }

  copy() {
    return new View([...this.turn], [...this.place], this.fovY);
  }
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

function times(a, b) {
  return a.map((_, i) => [0, 1, 2].reduce((sum, k) => sum + a[3 * Math.floor(i / 3) + k] * b[3 * k + (i % 3)], 0));
}

/** The rotation by an angle about a unit axis (Rodrigues). */
function rotation([x, y, z], angle) {
  const c = Math.cos(angle), s = Math.sin(angle), d = 1 - c;
  return [c + x * x * d, x * y * d - z * s, x * z * d + y * s, y * x * d + z * s, c + y * y * d, y * z * d - x * s, z * x * d - y * s, z * y * d + x * s, c + z * z * d];
}

/** The rotation without what rounding added to it (Gram and Schmidt). */
function straightened(turn) {
  const unit = (v) => v.map((x) => x / Math.hypot(...v));
  const back = unit([turn[2], turn[5], turn[8]]);
  const along = dot([turn[0], turn[3], turn[6]], back);
  const right = unit([0, 1, 2].map((k) => turn[3 * k] - along * back[k]));
  const up = [back[1] * right[2] - back[2] * right[1], back[2] * right[0] - back[0] * right[2], back[0] * right[1] - back[1] * right[0]];
  return [0, 1, 2].flatMap((k) => [right[k], up[k], back[k]]);
}
