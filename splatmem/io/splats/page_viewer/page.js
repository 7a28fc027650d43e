// The page: unpacks the scene, shows its first view, and lets the visitor look around and play the film. Pictures are drawn when
// something has changed, and only then.

const LONGEST_STEP = 100;  // milliseconds of the film between two pictures: where drawing is slow, the film is slow and does not jump
const MOST_ENLARGED = 3;  // pixels drawn for one of the film's; what is finer than that only costs time
const SLOW = 120, QUICK = 40;  // milliseconds between two pictures of something that moves: coarser ones, and finer ones again
const COARSER = 1.5, COARSEST = 4;
const AT_REST = 300;  // milliseconds after which a picture is drawn as fine as it can be
const BAR_RESTS = 4000;  // milliseconds without a touch
const WHEEL = 0.001;  // share of the way to what is under the pointer, for a wheel's unit
const STRIDE = 1.2;  // units of the page in a second, by key
const USUAL_DEPTH = 3;
const KEYS = {
  ArrowUp: [0, 0, -1], KeyW: [0, 0, -1], ArrowDown: [0, 0, 1], KeyS: [0, 0, 1], ArrowLeft: [-1, 0, 0], KeyA: [-1, 0, 0],
  ArrowRight: [1, 0, 0], KeyD: [1, 0, 0], KeyE: [0, 1, 0], KeyQ: [0, -1, 0],
};

class Page {
  /**
   * @param {Splats} splats
   * @param {{fps: number, width: number, height: number, given: number | null, poses: number[][], fovs: number[]}} film
   *     poses: the three upper rows of camera to world matrices; given: how many of the splats, the first ones, come from pictures
   */
  constructor(splats, film) {
    this.canvas = document.querySelector("canvas");
    this.splats = splats;
    this.film = film;
    this.painter = new Painter(this.canvas, splats);
    this.frames = film.poses.map((pose, i) => new View(
      [0, 1, 2].flatMap((row) => pose.slice(4 * row, 4 * row + 3)), [pose[3], pose[7], pose[11]], film.fovs[i],
    ));
    this.up = this.frames[0].axis(1);
    this.view = this.frames[0].copy();
    this.seconds = 0;
    this.playing = this.asked = this.givenOnly = false;
    this.framed = true;  // a picture of the film shows, and nothing beside it
    this.keys = new Set();
    this.pointers = new Map();
    this.last = 0;
    this.coarse = 1;
    this.listen();
    this.draw();
  }

  /** Asks for a picture, the next time the browser makes one. */
  draw() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame((now) => {
      const passed = Math.max(now - this.last, 0);
      this.asked = false;
      this.last = now;
      this.step(Math.min(passed, LONGEST_STEP) / 1000);
      const moving = this.playing || this.keys.size > 0 || this.pointers.size > 0;
      if (passed > SLOW) this.coarse = Math.min(this.coarse * COARSER, COARSEST);
      else if (passed < QUICK) this.coarse = Math.max(this.coarse / COARSER, 1);
      this.paint(moving ? this.coarse : 1);
      if (this.playing || this.keys.size > 0) this.draw();
    });
  }

  /** @param {number} coarse how many times larger pixels are drawn than they could be */
  paint(coarse) {
    const enlarged = Math.min(innerWidth / this.film.width, innerHeight / this.film.height);
    const ratio = Math.min(devicePixelRatio, MOST_ENLARGED / enlarged) / coarse;
    const [width, height] = [innerWidth, innerHeight].map((side) => Math.max(Math.round(side * ratio), 1));
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    this.view.fit(width, height, this.film);
    const [above, beside] = [innerHeight - this.film.height * enlarged, innerWidth - this.film.width * enlarged].map((gap) => Math.max(gap / 2, 0));
    this.canvas.style.clipPath = this.framed ? `inset(${above}px ${beside}px)` : "inset(0px 0px)";
    this.painter.paint(this.view, this.givenOnly ? this.film.given : undefined);
    this.canvas.hidden = element("bar").hidden = false;
    document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1);
    clearTimeout(this.resting);
    if (coarse > 1) this.resting = setTimeout(() => this.paint(1), AT_REST);
  }

  /** What goes on by itself: the film, and walking while a key is held. */
  step(seconds) {
    if (this.playing) {
      this.seconds = (this.seconds + seconds) % (this.frames.length / this.film.fps);
      this.show(Math.floor(this.seconds * this.film.fps));
    }
    if (this.keys.size > 0) this.framed = false;
    for (const key of this.keys) this.view.walk(...KEYS[key].map((way) => way * STRIDE * seconds));
  }

  show(frame) {
    this.view = this.frames[Math.min(frame, this.frames.length - 1)].copy();
    this.framed = true;
    element("time").value = String(frame);
  }

  play(on) {
    this.playing = on;
    element("play").textContent = on ? "❚❚" : "▶";
    this.last = performance.now();
    this.draw();
  }

  listen() {
    const one = this.frames.length < 2;
    element("play").hidden = element("time").hidden = one;
    element("given").hidden = this.film.given === null;
    element("time").max = String(this.frames.length - 1);
    element("play").onclick = () => this.play(!this.playing);
    element("time").oninput = () => {
      this.play(false);
      this.seconds = Number(element("time").value) / this.film.fps;
      this.show(Number(element("time").value));
    };
    element("first").onclick = () => this.back();
    element("given").onclick = () => {
      this.givenOnly = !this.givenOnly;
      element("given").setAttribute("aria-pressed", String(this.givenOnly));
      this.draw();
    };
    this.listenToPointers();
    this.listenToKeys(one);
    addEventListener("resize", () => this.draw());
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.painter = new Painter(this.canvas, this.splats);
      this.draw();
    });
    let waiting;
    const wake = () => {
      element("bar").classList.remove("resting");
      clearTimeout(waiting);
      waiting = setTimeout(() => element("bar").classList.add("resting"), BAR_RESTS);
    };
    for (const event of ["pointermove", "pointerdown", "keydown"]) addEventListener(event, wake);
    wake();  // who opens the page sees what can be done here
  }

  back() {
    this.play(false);
    this.seconds = 0;
    this.show(0);
  }

  listenToKeys(one) {
    addEventListener("keydown", (event) => {
      if (event.code === "Space" && !one && !["BUTTON", "INPUT"].includes(event.target.tagName)) this.play(!this.playing);
      else if (event.code === "Home") this.back();
      else if (event.code in KEYS && event.target.type !== "range" && !event.ctrlKey && !event.metaKey) {
        if (this.playing) this.play(false);
        if (this.keys.size === 0) this.last = performance.now();
        this.keys.add(event.code);
        this.draw();
      } else return;
      event.preventDefault();
    });
    addEventListener("keyup", (event) => this.keys.delete(event.code));
    addEventListener("blur", () => this.keys.clear());
  }

  listenToPointers() {
    const canvas = this.canvas;
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      if (this.playing) this.play(false);
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
      this.around = this.grasped(...this.middleOfPointers());
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.pointers.has(event.pointerId)) return;
      const before = this.middleOfPointers(), spread = this.spreadOfPointers();
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
      const after = this.middleOfPointers();
      const angle = 2 * Math.atan(this.view.tangents[1]) / innerHeight;
      const turns = [(after[0] - before[0]) * angle, (after[1] - before[1]) * angle];
      if (this.pointers.size > 1) {
        this.approach(this.around, 1 - spread / this.spreadOfPointers());
        this.view.round(this.around, -turns[0], -turns[1], this.up);
      } else if (event.buttons & 2 || event.shiftKey) this.view.round(this.around, -2 * turns[0], -2 * turns[1], this.up);
      else this.view.look(...turns, this.up);
      this.framed = false;
      this.draw();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (this.playing) this.play(false);
      const way = event.deltaY * (event.deltaMode === 0 ? 1 : 40);
      this.approach(this.grasped(event.clientX, event.clientY), Math.min(Math.max(-way * WHEEL, -0.3), 0.3));
      this.framed = false;
      this.draw();
    }, { passive: false });
  }

  /** The point of the world under a place of the window. */
  grasped(x, y) {
    const tangents = [(2 * x / innerWidth - 1) * this.view.tangents[0], (1 - 2 * y / innerHeight) * this.view.tangents[1]];
    return this.view.pointAt(...tangents, this.splats.depthAt(this.view, ...tangents) ?? USUAL_DEPTH);
  }

  /** Goes a share of the way to a point of the world. */
  approach(point, share) {
    this.view.place = this.view.place.map((p, k) => p + share * (point[k] - p));
  }

  middleOfPointers() {
    const all = [...this.pointers.values()];
    return [0, 1].map((k) => all.reduce((sum, place) => sum + place[k], 0) / all.length);
  }

  spreadOfPointers() {
    const [first, second] = this.pointers.values();
    return second === undefined ? 1 : Math.max(Math.hypot(first[0] - second[0], first[1] - second[1]), 1);
  }
}

const element = (id) => document.getElementById(id);

try {
  const splats = new Splats(await unpacked(element("splats").textContent));
  element("splats").remove();
  new Page(splats, JSON.parse(element("film").textContent));
  element("message").textContent = "";
} catch (error) {
  element("message").textContent = `The scene cannot be shown: ${error.message}.`;
}
