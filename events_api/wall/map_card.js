// What is pointed at, in a few words: a camera with its latest picture, a case, or all that stand at one spot.

import { cameraPage, casePage } from "/wall/api.js";
import { badge, light, since, trial } from "/wall/row.js";
import { h, t, text } from "/wall/words.js";

const MOST = 12;

export class Card {
  constructor(node, { place }) {
    Object.assign(this, { node, place });
    this.held = false;
  }

  of(items, at, options) {
    if (items.length === 1) return this.show(items[0], at, options);
    const rows = items.slice(0, MOST).map((item) => h("li", {}, h("a", { href: this.address(item) }, this.name(item))));
    const more = items.length > MOST ? h("p", {}, t("map.and", { n: items.length - MOST })) : null;
    return this.put([h("b", {}, t(items[0].cameras ? "map.cases" : "map.cameras", { n: items.length })), options.held ? h("ul", {}, rows) : null, more], at, options);
  }

  show(item, at, options) {
    const inside = item.cameras ? this.aCase(item) : this.aCamera(item);
    this.put(options.held ? [...inside, h("a", { href: this.address(item) }, t("open"))] : inside, at, options);
  }

  aCase(item) {
    return [
      h("b", {}, light(item), text(item.title), trial(item)), h("p", {}, this.place(item)),
      h("p", {}, badge(item), ` ${t(`severity.${item.severity}`)} · ${since(item.filed_at)}`),
    ];
  }

  aCamera(item) {
    const image = h("img", { src: `/v1/cameras/${encodeURIComponent(item.id)}/snapshot.jpg`, alt: "", onerror: () => image.remove() });
    return [image, h("b", {}, text(item.name) || item.id), h("p", {}, `${item.id}${item.grid_cell ? ` · ${item.grid_cell}` : ""}`), stateOf(item)];
  }

  name(item) {
    return item.cameras ? `${text(item.title)} · ${this.place(item)} · ${since(item.filed_at)}` : `${text(item.name) || item.id} · ${t(`camera.${item.state}`)}`;
  }

  address(item) {
    return item.cameras ? casePage(item.id) : cameraPage(item.id);
  }

  put(inside, [left, top], { held }) {
    this.held = held;
    this.node.replaceChildren(...inside.filter(Boolean));
    this.node.classList.toggle("held", held);
    this.node.hidden = false;
    const { width, height } = this.node.parentElement.getBoundingClientRect();
    const box = this.node.getBoundingClientRect();
    this.node.style.left = `${Math.max(6, Math.min(width - box.width - 6, left + 18))}px`;
    this.node.style.top = `${Math.max(6, Math.min(height - box.height - 6, top - box.height / 2))}px`;
  }

  hide() {
    this.held = false;
    this.node.hidden = true;
  }
}

export function stateOf(item) {
  const reason = item.state !== "live" ? text(item.reason) : "";
  return h("p", { class: `is is-${item.state}` }, t(`camera.${item.state}`) + (reason ? ` · ${reason}` : ""));
}
