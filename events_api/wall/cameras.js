// The strip of cameras: those in trouble first, each with its latest picture, its state and why; and what cameras are called.

import { get } from "/wall/api.js";
import { h, t, text } from "/wall/words.js";

export const SHOWN = 40; // a wall is for looking; the list of eleven thousand is for searching
const ASKED_AT_ONCE = 50;

// The names of those cameras that somebody wants to read: asked for together, once each.
export class CameraNames {
  constructor({ onknown }) {
    this.onknown = onknown;
    this.known = new Map();
    this.wanted = new Set();
    this.asking = false;
  }

  name(id) {
    if (!this.known.has(id)) {
      this.wanted.add(id);
      if (!this.asking) queueMicrotask(() => this.ask());
    }
    return text(this.known.get(id)) || id;
  }

  learn(cameras) {
    for (const each of cameras) this.known.set(each.id, each.name);
  }

  async ask() {
    if (this.asking) return;
    this.asking = true;
    try {
      while (this.wanted.size) {
        const ids = [...this.wanted].slice(0, ASKED_AT_ONCE);
        const found = await get(`/v1/cameras?${new URLSearchParams(ids.map((id) => ["id", id]))}`);
        for (const id of ids) {
          this.known.set(id, null); // one that was removed from the configuration is called by its id
          this.wanted.delete(id);
        }
        this.learn(found.items);
        this.onknown(new Set(ids));
      }
    } catch {
      // Whoever reads the name again asks again.
      this.wanted.clear();
    } finally {
      this.asking = false;
    }
  }
}

export class CameraStrip {
  constructor(node) {
    this.node = node;
    this.tiles = new Map();
  }

  // The most urgent cameras, in that order, and how many there are in all.
  show(cameras, all) {
    const tiles = cameras.map((camera) => this.tile(camera));
    const there = new Set(cameras.map((camera) => camera.id));
    for (const id of this.tiles.keys()) if (!there.has(id)) this.tiles.delete(id);
    const more = all - cameras.length;
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
    // Too much to look at makes a camera late, not untrue: it says how old its picture gets.
    if (camera.late) why.textContent += ` · ${t("camera.late", { age: Math.round(camera.staleness_s), patience: camera.patience_s })}`;
    for (const each of camera.findings) why.textContent += ` · ${text(each)}`;
    tile.title = `${camera.id} · ${name.textContent} · ${why.textContent}`;
    return tile;
  }
}
