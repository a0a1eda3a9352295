// What a zone's corners are allowed to be, and the drawing's memory for undo and redo. Coordinates are 0..1 from the top left.

export const SNAP = 0.015;
const SMALLEST = 1e-5;
const DECIMALS = 1e4;
const MOST_STEPS = 200;

// Onto the picture, and onto its edge when that is near.
export function placed([x, y], snap = true) {
  return [along(x, snap), along(y, snap)];
}

function along(value, snap) {
  const within = Math.min(1, Math.max(0, value));
  if (snap && within < SNAP) return 0;
  if (snap && within > 1 - SNAP) return 1;
  return Math.round(within * DECIMALS) / DECIMALS;
}

// Where edges cross each other, the first place; null when none do.
export function crossing(points) {
  for (let i = 0; i < points.length; i += 1) {
    const [a, b] = edge(points, i);
    for (let j = i + 1; j < points.length; j += 1) {
      const [c, d] = edge(points, j);
      if ([[a, c], [a, d], [b, c], [b, d]].some(([p, q]) => p[0] === q[0] && p[1] === q[1])) continue;
      if (turn(a, b, c) * turn(a, b, d) < 0 && turn(c, d, a) * turn(c, d, b) < 0) return meeting(a, b, c, d);
    }
  }
  return null;
}

export function area(points) {
  return Math.abs(points.reduce((sum, _, i) => {
    const [a, b] = edge(points, i);
    return sum + a[0] * b[1] - a[1] * b[0];
  }, 0)) / 2;
}

export function isFlat(points) {
  return area(points) < SMALLEST;
}

export function centre(points) {
  return [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
}

function edge(points, i) {
  return [points[i], points[(i + 1) % points.length]];
}

function turn(a, b, c) {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}

function meeting(a, b, c, d) {
  const along = turn(c, d, a) / (turn(c, d, a) - turn(c, d, b));
  return [a[0] + (b[0] - a[0]) * along, a[1] + (b[1] - a[1]) * along];
}

// States as text, so that none is altered behind its back.
export class Memory {
  constructor(first) {
    this.steps = [JSON.stringify(first)];
    this.at = 0;
  }

  get now() {
    return JSON.parse(this.steps[this.at]);
  }

  get canUndo() {
    return this.at > 0;
  }

  get canRedo() {
    return this.at < this.steps.length - 1;
  }

  get text() {
    return this.steps[this.at];
  }

  put(state) {
    const said = JSON.stringify(state);
    if (said === this.text) return;
    this.steps = [...this.steps.slice(0, this.at + 1), said].slice(-MOST_STEPS);
    this.at = this.steps.length - 1;
  }

  undo() {
    this.at = Math.max(0, this.at - 1);
    return this.now;
  }

  redo() {
    this.at = Math.min(this.steps.length - 1, this.at + 1);
    return this.now;
  }
}
