// The strip of cameras: those in trouble first, each with its latest picture, its state and why.

import { h, t, text } from "/wall/words.js";

const SHOWN = 40; // a wall is for looking; the list of eleven thousand is for searching
const URGENCY = ["refused", "lost", "unusable", "stale", "unknown", "connecting", "live"];

export class CameraStrip {
  constructor(node) {
    this.node = node;
    this.tiles = new Map();
    this.names = new Map();
  }

  name(id) {
    const known = this.names.get(id);
    return known ? text(known) || id : id;
  }

  show(cameras) {
    this.names = new Map(cameras.map((each) => [each.id, each.name]));
    const sorted = [...cameras].sort((a, b) => URGENCY.indexOf(a.state) - URGENCY.indexOf(b.state) || (a.id < b.id ? -1 : 1));
    const shown = sorted.slice(0, SHOWN);
    const tiles = shown.map((camera) => this.tile(camera));
    const more = cameras.length - shown.length;
    if (more > 0) tiles.push(h("li", { class: "more" }, t("camera.more", { n: more })));
    // The same tiles in the same order stay where they are: a strip that is being scrolled does not jump.
    if (tiles.length !== this.node.children.length || tiles.some((tile, index) => tile !== this.node.children[index])) {
      this.node.replaceChildren(...tiles);
    }
  }

  tile(camera) {
    let tile = this.tiles.get(camera.id);
    if (!tile) {
      const image = h("img", { alt: "", loading: "lazy", decoding: "async" });
      const place = h("div", { class: "snap" }, image);
      tile = h("li", { "data-camera": camera.id }, place, h("p", { class: "name" }), h("p", { class: "why" }));
      image.addEventListener("error", () => place.classList.remove("has"));
      image.addEventListener("load", () => place.classList.add("has"));
      this.tiles.set(camera.id, tile);
    }
    tile.className = `camera is-${camera.state}`;
    const [snap, name, why] = tile.children;
    const image = snap.firstElementChild;
    // The instant in the address asks anew only when there is a newer look.
    const path = camera.snapshot && `/v1/cameras/${encodeURIComponent(camera.id)}/snapshot.jpg?at=${encodeURIComponent(camera.last_look_at)}`;
    if (path && image.getAttribute("src") !== path) image.src = path;
    name.textContent = text(camera.name) || camera.id;
    const reason = text(camera.reason);
    why.textContent = t(`camera.${camera.state}`) + (reason && camera.state !== "live" ? ` · ${reason}` : "");
    tile.title = `${camera.id} · ${name.textContent} · ${why.textContent}`;
    return tile;
  }
}
