// Which cameras the mosaic shows: sought by words, by area, by what is looked for there; one by one, or all that are found.

import { get } from "/wall/api.js";
import { h, t, text } from "/wall/words.js";

export const MOST = 64;
const LISTED = 80;

export class Chooser {
  constructor(node, { onchange }) {
    Object.assign(this, { node, onchange });
    this.cameras = [];
    this.scenes = [];
    this.areas = [];
    this.chosen = [];
    this.sought = { q: "", area: "", scene: "" };
    this.list = h("ul", {});
    this.count = h("p", { role: "status" });
  }

  async learn() {
    const [scenes, areas] = await Promise.all([get("/v1/scenes"), get("/v1/areas").catch(() => ({ items: [] }))]);
    this.scenes = scenes.items;
    this.areas = areas.items;
  }

  from(cameras, chosen) {
    this.cameras = cameras;
    if (!this.areas.length) {
      const codes = new Set(cameras.map((item) => item.grid_cell?.slice(0, 9)).filter(Boolean));
      this.areas = [...codes].sort().map((code) => ({ code, name: { zh: code, en: code } }));
    }
    this.chosen = chosen;
    this.draw();
  }

  open(shown) {
    this.chosen = shown;
    this.draw();
    this.node.querySelector("input").focus();
  }

  found() {
    const { q, area, scene } = this.sought;
    const kind = this.scenes.find(({ id }) => id === scene)?.zone_kind ?? "any";
    const words = q.toLowerCase().trim();
    return this.cameras.filter((item) => (!area || item.grid_cell?.startsWith(area)) && (kind === "any" || item.zones.includes(kind)) &&
      (!words || `${item.id}\n${item.name.zh}\n${item.name.en}`.toLowerCase().includes(words)));
  }

  set(chosen) {
    this.chosen = chosen.slice(0, MOST);
    this.onchange(this.chosen);
    this.results();
  }

  draw() {
    const choices = (name, first, options) => h("select", { name, onchange: (event) => this.seek(name, event.target.value) },
      h("option", { value: "" }, first), options.map(([value, said]) => h("option", { value, selected: value === this.sought[name] }, said)));
    this.node.replaceChildren(
      h("div", { class: "choice" },
        h("label", {}, t("map.by.q"), h("input", { type: "search", value: this.sought.q, maxlength: "100", oninput: (event) => this.seek("q", event.target.value) })),
        h("label", {}, t("map.by.area"), choices("area", t("filter.all"), this.areas.map(({ code, name }) => [code, text(name)]))),
        h("label", {}, t("map.by.scene"), choices("scene", t("filter.scene"), this.scenes.map((scene) => [scene.id, text(scene.title)])))),
      h("p", { class: "act" },
        h("button", { type: "button", "data-do": "all", onclick: () => this.set(this.found().map(({ id }) => id)) }, t("mosaic.all")),
        h("button", { type: "button", "data-do": "clear", onclick: () => this.set([]) }, t("mosaic.clear"))),
      this.count, this.list);
    this.results();
  }

  seek(name, value) {
    this.sought[name] = value;
    this.results();
  }

  results() {
    const found = this.found();
    this.count.textContent = t("mosaic.found", { n: found.length, chosen: this.chosen.length, most: MOST });
    this.list.replaceChildren(...found.slice(0, LISTED).map((item) => {
      const box = h("input", { type: "checkbox", value: item.id, checked: this.chosen.includes(item.id), onchange: () =>
        this.set(box.checked ? [...this.chosen, item.id] : this.chosen.filter((id) => id !== item.id)) });
      return h("li", {}, h("label", {}, box, h("span", {}, text(item.name) || item.id, " ", h("small", {}, item.id))));
    }));
  }
}
