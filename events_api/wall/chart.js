// A canvas that is moved and enlarged by mouse, touch and keys, and drawn once a frame at most.

import { toDegrees, toWorld } from "/wall/clusters.js";

const TILE = 256;
const LEAST = 3;
const MOST = 20;
const STEP_PX = 90;
const CLICK_PX = 6;

export class Chart {
  // `draw` is called with the context; `onmoved` once the view has come to rest; `onpoint` where the pointer is, or null;
  // `onpick` where somebody clicked or tapped, and with what.
  constructor(canvas, { draw, onmoved, onpoint, onpick }) {
    Object.assign(this, { canvas, draw, onmoved, onpoint, onpick });
    this.context = canvas.getContext("2d");
    this.x = 0.5;
    this.y = 0.5;
    this.zoom = LEAST;
    this.width = this.height = 0;
    this.wanted = false;
    this.resting = 0;
    this.fingers = new Map();
    new ResizeObserver(() => this.measure()).observe(canvas);
    this.measure();
    this.listen();
  }

  get scale() {
    return TILE * 2 ** this.zoom;
  }

  measure() {
    const { width, height } = this.canvas.getBoundingClientRect();
    this.ratio = Math.min(2, devicePixelRatio || 1);
    [this.width, this.height] = [width, height];
    this.canvas.width = Math.max(1, Math.round(width * this.ratio));
    this.canvas.height = Math.max(1, Math.round(height * this.ratio));
    this.redraw();
  }

  redraw() {
    if (this.wanted) return;
    this.wanted = true;
    requestAnimationFrame(() => {
      this.wanted = false;
      this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      this.context.clearRect(0, 0, this.width, this.height);
      this.draw(this.context);
    });
  }

  toScreen(x, y) {
    return [(x - this.x) * this.scale + this.width / 2, (y - this.y) * this.scale + this.height / 2];
  }

  toPlane(left, top) {
    return [this.x + (left - this.width / 2) / this.scale, this.y + (top - this.height / 2) / this.scale];
  }

  degreesAt(left, top) {
    return toDegrees(this.toPlane(left, top));
  }

  // What can be seen: [left, top, right, bottom] of the plane.
  get seen() {
    return [...this.toPlane(0, 0), ...this.toPlane(this.width, this.height)];
  }

  centre(lon, lat, zoom = this.zoom) {
    [this.x, this.y] = toWorld(lon, lat);
    this.zoom = within(zoom, LEAST, MOST);
    this.moved();
  }

  // Everything within these bounds of the plane is in sight, with some air around it.
  fit([left, top, right, bottom], { air = 0.85, most = 17 } = {}) {
    const wide = Math.max(right - left, 1e-9);
    const high = Math.max(bottom - top, 1e-9);
    const scale = Math.min((this.width * air) / wide, (this.height * air) / high);
    this.zoom = within(Math.log2(scale / TILE), LEAST, most);
    [this.x, this.y] = [(left + right) / 2, (top + bottom) / 2];
    this.moved();
  }

  pan(right, down) {
    this.x = within(this.x + right / this.scale, 0, 1);
    this.y = within(this.y + down / this.scale, 0, 1);
    this.moved();
  }

  // What lies under this point stays there.
  enlarge(by, left = this.width / 2, top = this.height / 2) {
    const [x, y] = this.toPlane(left, top);
    this.zoom = within(this.zoom + by, LEAST, MOST);
    this.x = x - (left - this.width / 2) / this.scale;
    this.y = y - (top - this.height / 2) / this.scale;
    this.moved();
  }

  moved() {
    this.redraw();
    clearTimeout(this.resting);
    this.resting = setTimeout(this.onmoved, 150);
  }

  // -- hands -----------------------------------------------------------------------------------------------------------

  listen() {
    const { canvas } = this;
    const at = (event) => {
      const { left, top } = canvas.getBoundingClientRect();
      return [event.clientX - left, event.clientY - top];
    };
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      this.enlarge(within(-event.deltaY * lines * 0.0025, -0.6, 0.6), ...at(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.fingers.set(event.pointerId, { at: at(event), from: at(event), far: false });
    });
    canvas.addEventListener("pointermove", (event) => {
      const finger = this.fingers.get(event.pointerId);
      if (!finger) return this.onpoint(at(event));
      return this.drag(finger, at(event));
    });
    canvas.addEventListener("pointerup", (event) => {
      const finger = this.fingers.get(event.pointerId);
      const alone = this.fingers.size === 1;
      this.fingers.delete(event.pointerId);
      if (finger && alone && !finger.far) this.onpick(at(event), event.pointerType);
    });
    canvas.addEventListener("pointercancel", (event) => this.fingers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => this.onpoint(null));
    canvas.addEventListener("dblclick", (event) => this.enlarge(event.shiftKey ? -1 : 1, ...at(event)));
    canvas.addEventListener("keydown", (event) => {
      const doing = {
        ArrowLeft: () => this.pan(-STEP_PX, 0), ArrowRight: () => this.pan(STEP_PX, 0),
        ArrowUp: () => this.pan(0, -STEP_PX), ArrowDown: () => this.pan(0, STEP_PX),
        "+": () => this.enlarge(0.5), "=": () => this.enlarge(0.5), "-": () => this.enlarge(-0.5),
      }[event.key];
      if (!doing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      doing();
    });
  }

  drag(finger, [left, top]) {
    const before = this.spread();
    const [wasLeft, wasTop] = finger.at;
    finger.at = [left, top];
    finger.far ||= Math.hypot(left - finger.from[0], top - finger.from[1]) > CLICK_PX;
    if (this.fingers.size === 2) {
      const after = this.spread();
      for (const each of this.fingers.values()) each.far = true;
      if (before.apart > 0 && after.apart > 0) this.enlarge(Math.log2(after.apart / before.apart), after.left, after.top);
      this.pan(before.left - after.left, before.top - after.top);
    } else if (finger.far && this.fingers.size === 1) this.pan(wasLeft - left, wasTop - top);
  }

  spread() {
    const [one, two = one] = [...this.fingers.values()].map((each) => each.at);
    return { apart: Math.hypot(one[0] - two[0], one[1] - two[1]), left: (one[0] + two[0]) / 2, top: (one[1] + two[1]) / 2 };
  }
}

function within(value, least, most) {
  return Math.min(most, Math.max(least, value));
}
