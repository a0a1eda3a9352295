// What lies within the map's frame, as a list: for keys, for screen readers, and for whoever reads faster than they look.

import { cameraPage, casePage } from "/wall/api.js";
import { stateOf } from "/wall/map_card.js";
import { badge, light, since } from "/wall/row.js";
import { h, t, text, ticks } from "/wall/words.js";

export class MapList {
  // `onpoint` is told what the list points at, or null.
  constructor(node, title, { onpoint, place }) {
    Object.assign(this, { node, title, onpoint, place });
    this.rows = new Map();
  }

  // These of so many {cases, cameras}.
  show(items, all, chosen) {
    this.title.textContent = t("map.within", all);
    const focused = document.activeElement?.closest?.("#within a")?.dataset.id;
    const rows = items.map((item) => this.row(item, item.id === chosen));
    const left = all.cases + all.cameras - items.length;
    // What somebody reads stays under their eyes: the same rows in the same order are left alone.
    if (rows.length === this.node.querySelectorAll("a").length && rows.every((row, index) => row.isEqualNode(this.node.children[index]))) return;
    const top = this.node.scrollTop;
    this.node.replaceChildren(...rows, ...(left > 0 ? [h("li", { class: "nothing" }, t("map.and", { n: left }))] : []));
    this.node.scrollTop = top;
    if (focused) this.node.querySelector(`a[data-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  row(item, chosen) {
    const inside = item.cameras
      ? [light(item), text(item.title), h("small", {}, `${this.place(item)} `, badge(item), " ", ticks(h("span", {}), () => since(item.filed_at)))]
      : [text(item.name) || item.id, h("small", {}, stateOf(item))];
    return h("li", {}, h("a", {
      href: item.cameras ? casePage(item.id) : cameraPage(item.id), "data-id": item.id,
      class: [item.severity ? `severity-${item.severity}` : "", chosen ? "chosen" : ""].join(" ").trim(),
      onfocus: () => this.onpoint(item), onblur: () => this.onpoint(null), onmouseenter: () => this.onpoint(item), onmouseleave: () => this.onpoint(null),
    }, inside));
  }
}
