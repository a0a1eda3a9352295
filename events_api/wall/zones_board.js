// The picture to draw on: zones as polygons, their corners as buttons that a mouse, a finger or the arrow keys move.

import { h, svg, t } from "/wall/words.js";
import { centre, crossing, placed } from "/wall/zones_shape.js";

const STEP = 0.005;
const SCALE = 1000;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Board {
  // `changed(final)`: the zones were altered; final once the hand lets go. `choose(zone)`, `say(text)`.
  constructor(node, { changed, choose, say, refuse }) {
    Object.assign(this, { node, changed, choose, say, refuse });
    this.zones = [];
    this.chosen = null; // the zone whose corners are shown
    this.adding = null; // the corners of a zone that is being drawn
    this.seen = null; // the box of a case to show
    this.image = h("img", { alt: "", draggable: "false" });
    this.image.addEventListener("load", () => {
      node.style.setProperty("--ratio", String(this.image.naturalWidth / this.image.naturalHeight));
      this.missing.hidden = true;
    });
    this.image.addEventListener("error", () => (this.missing.hidden = false));
    this.missing = h("p", { class: "missing", hidden: true });
    this.sheet = svg("svg", { viewBox: `0 0 ${SCALE} ${SCALE}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.over = h("div", {});
    node.replaceChildren(this.image, this.missing, this.sheet, this.over);
    node.addEventListener("pointerdown", (event) => this.press(event));
    node.addEventListener("dblclick", () => this.adding && this.close());
  }

  show(path) {
    this.missing.textContent = t("zones.no_picture");
    this.image.src = path;
  }

  begin() {
    this.adding = [];
    this.draw();
    this.say(t("zones.adding"));
  }

  cancel() {
    this.adding = null;
    this.draw();
  }

  // -- a hand ----------------------------------------------------------------------------------------------------

  at(event) {
    const frame = this.node.getBoundingClientRect();
    return placed([(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height]);
  }

  press(event) {
    if (event.button !== 0) return;
    const button = event.target.closest?.("button");
    if (this.adding) {
      event.preventDefault();
      if (button?.dataset.first !== undefined) return this.close();
      const point = this.at(event);
      const last = this.adding.at(-1);
      if (last && last[0] === point[0] && last[1] === point[1]) return;
      this.adding.push(point);
      this.draw();
      this.say(this.words(point));
      return;
    }
    if (!button) {
      const zone = event.target.closest?.("[data-zone]");
      if (zone) this.choose(Number(zone.dataset.zone));
      return;
    }
    const points = this.zones[this.chosen].points;
    let n = Number(button.dataset.point);
    if (button.dataset.between !== undefined) {
      n = Number(button.dataset.between) + 1;
      points.splice(n, 0, this.at(event));
    }
    event.preventDefault();
    this.drag(event.pointerId, n);
  }

  drag(id, n) {
    const points = this.zones[this.chosen].points;
    const move = (event) => {
      if (event.pointerId !== id) return;
      points[n] = this.at(event);
      this.changed(false);
    };
    const end = (event) => {
      if (event.pointerId !== id) return;
      for (const [name, listener] of [["pointermove", move], ["pointerup", end], ["pointercancel", end]]) removeEventListener(name, listener);
      this.changed(true);
      this.focus(n);
      this.say(this.words(points[n]));
    };
    for (const [name, listener] of [["pointermove", move], ["pointerup", end], ["pointercancel", end]]) addEventListener(name, listener);
    this.changed(false);
    this.focus(n);
  }

  close() {
    const points = this.adding.filter((point, i) => i === 0 || point.join() !== this.adding[i - 1].join());
    if (points.length < 3) return this.refuse(t("zones.three"));
    this.adding = null;
    this.draw();
    this.changed(true, points);
  }

  // -- keys ------------------------------------------------------------------------------------------------------

  key(event, n) {
    const points = this.zones[this.chosen].points;
    const arrow = ARROWS[event.key];
    if (arrow) {
      const step = event.shiftKey ? STEP * 10 : event.altKey ? STEP / 5 : STEP;
      points[n] = placed([points[n][0] + arrow[0] * step, points[n][1] + arrow[1] * step], false);
      this.changed(true);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      if (points.length === 3) return this.refuse(t("zones.three"));
      points.splice(n, 1);
      this.changed(true);
      n = Math.min(n, points.length - 1);
    } else if (event.key === "Insert" || event.key === "+") {
      const after = points[(n + 1) % points.length];
      points.splice(n + 1, 0, placed([(points[n][0] + after[0]) / 2, (points[n][1] + after[1]) / 2], false));
      this.changed(true);
      n += 1;
    } else return;
    event.preventDefault();
    this.focus(n);
    this.say(this.words(points[n]));
  }

  focus(n) {
    this.over.querySelector(`[data-point="${n}"]`)?.focus({ preventScroll: true });
  }

  words([x, y]) {
    return t("zones.at", { x: (x * 100).toFixed(1), y: (y * 100).toFixed(1) });
  }

  // -- drawing ---------------------------------------------------------------------------------------------------

  draw() {
    const focused = document.activeElement?.dataset?.point;
    this.node.classList.toggle("adding", Boolean(this.adding));
    this.sheet.replaceChildren(...this.zones.map((zone, n) => this.shape(zone, n)), ...this.unfinished(), ...this.box());
    this.over.replaceChildren(...this.zones.flatMap((zone, n) => this.marks(zone, n)), ...this.corners(), ...this.first());
    if (focused !== undefined) this.focus(focused);
  }

  shape(zone, n) {
    const points = zone.points.map((point) => point.map((value) => value * SCALE).join(",")).join(" ");
    const kind = `${zone.kind}${n === this.chosen ? " chosen" : ""}${crossing(zone.points) ? " wrong" : ""}`;
    return svg("g", { class: kind, "data-zone": n }, svg("polygon", { points }), svg("polygon", { points, class: "line" }));
  }

  unfinished() {
    if (!this.adding?.length) return [];
    const points = this.adding.map((point) => point.map((value) => value * SCALE).join(",")).join(" ");
    return [svg("g", { class: "any" }, svg("polyline", { points }), svg("polyline", { points, class: "line" }))];
  }

  box() {
    if (!this.seen) return [];
    const [x1, y1, x2, y2] = this.seen.map((value) => value * SCALE);
    return [svg("rect", { class: "seen", x: x1, y: y1, width: x2 - x1, height: y2 - y1 })];
  }

  marks(zone, n) {
    const where = crossing(zone.points);
    return [
      this.put(h("span", { class: "name" }, zone.id), centre(zone.points)),
      where && this.put(h("span", { class: "cross", "data-cross": n }, "✕"), where),
    ].filter(Boolean);
  }

  corners() {
    const zone = this.zones[this.chosen];
    if (!zone || this.adding) return [];
    return zone.points.flatMap((point, n) => {
      const after = zone.points[(n + 1) % zone.points.length];
      const middle = [(point[0] + after[0]) / 2, (point[1] + after[1]) / 2];
      return [
        this.put(h("button", {
          type: "button", class: `point ${zone.kind}`, "data-point": n, onkeydown: (event) => this.key(event, n),
          "aria-label": t("zones.corner", { zone: zone.id, n: n + 1, of: zone.points.length, at: this.words(point) }),
        }), point),
        this.put(h("button", { type: "button", class: "between", "data-between": n, tabindex: "-1", "aria-hidden": "true" }), middle),
      ];
    });
  }

  first() {
    if (!this.adding?.length) return [];
    return this.adding.map((point, n) => this.put(h("button", { type: "button", class: "point any", tabindex: "-1", "data-first": n === 0 && this.adding.length > 2 ? "" : null }), point));
  }

  put(node, [x, y]) {
    node.style.left = `${x * 100}%`;
    node.style.top = `${y * 100}%`;
    return node;
  }
}
