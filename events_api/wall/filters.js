// Which cases are wanted: by state, scene, severity, area and words; kept in the address (to be shared) and for the person.

import { get } from "/wall/api.js";
import { h, language, t, text } from "/wall/words.js";
import { isOpen } from "/wall/row.js";
import { kept, keep } from "/wall/person.js";
import { SEVERITIES } from "/wall/sound.js";

const STATES = ["filed", "dispatched", "handling", "verifying", "returned", "deferred", "closed", "rejected"];
const MANY = { scene: [], state: [], severity: [] };
const WHATEVER = { open: true, area: "", q: "", ...MANY };
const TYPED_MS = 300;

export class Filters {
  constructor(node, panel, { onchange }) {
    Object.assign(this, { node, panel, onchange });
    this.wanted = { ...WHATEVER };
    this.scenes = [];
    this.areas = [];
    this.typed = 0;
  }

  // From the address when it says anything, else what this person wanted last.
  recall() {
    const asked = new URLSearchParams(location.search);
    const said = Object.keys(WHATEVER).some((each) => asked.has(each));
    this.wanted = said ? inAddress() : { ...WHATEVER, ...kept("filter", {}) };
    this.write();
  }

  async learn() {
    const [scenes, areas] = await Promise.all([get("/v1/scenes"), get("/v1/areas").catch(() => ({ items: [] }))]);
    this.scenes = scenes.items;
    this.areas = areas.items.filter((each) => each.level !== "cell"); // a city has thousands of cells
  }

  // What GET /v1/cases is asked.
  query(more) {
    const asked = new URLSearchParams(more);
    const { open, area, q } = this.wanted;
    if (open && !this.wanted.state.length) asked.set("open", "true");
    for (const name of Object.keys(MANY)) for (const each of this.wanted[name]) asked.append(name, each);
    if (area) asked.set("grid_cell", area);
    if (q.trim()) asked.set("q", q.trim());
    return asked;
  }

  // Whether a case that an event tells of belongs on this wall; as the server would judge it.
  wants(item) {
    const { open, scene, state, severity, area, q } = this.wanted;
    if (state.length ? !state.includes(item.state) : open && !isOpen(item)) return false;
    if (scene.length && !scene.includes(item.scene)) return false;
    if (severity.length && !severity.includes(item.severity)) return false;
    if (area && !item.grid_cell?.startsWith(area)) return false;
    if (!q.trim()) return true;
    const said = [item.id, item.title.zh, item.title.en, item.code, item.place, item.grid_cell, item.unit, item.external_id,
      ...item.cameras, item.note, item.reason].join("\n").toLowerCase();
    return q.toLowerCase().split(/\s+/).filter(Boolean).every((word) => said.includes(word));
  }

  set(change) {
    this.wanted = { ...this.wanted, ...change };
    keep("filter", this.wanted);
    this.write();
    this.draw();
    this.onchange();
  }

  write() {
    const said = new URLSearchParams(location.search);
    for (const each of Object.keys(WHATEVER)) said.delete(each);
    const { open, area, q } = this.wanted;
    if (!open) said.set("open", "false");
    for (const name of Object.keys(MANY)) for (const each of this.wanted[name]) said.append(name, each);
    if (area) said.set("area", area);
    if (q) said.set("q", q);
    history.replaceState(null, "", `${location.pathname}${said.size ? `?${said}` : ""}`);
  }

  // -- drawing -------------------------------------------------------------------------------------------------------

  toggle(open = this.panel.hidden) {
    this.panel.hidden = !open;
    this.draw();
    if (open) this.panel.querySelector("input").focus();
  }

  draw() {
    const { open, scene, state, severity, area, q } = this.wanted;
    const beyond = state.length + severity.length + Boolean(area) + Boolean(q.trim());
    this.node.replaceChildren(
      chip(t("filter.open"), open && !state.length, () => this.set({ open: true, state: [] }), "open"),
      chip(t("filter.all"), !open && !state.length, () => this.set({ open: false, state: [] }), "all"),
      h("span", { class: "gap" }),
      chip(t("filter.scene"), !scene.length, () => this.set({ scene: [] }), "scenes"),
      ...this.scenes.map((each) => chip(text(each.title), scene.includes(each.id), () => this.set({ scene: toggled(scene, each.id) }), each.id)),
      h("span", { class: "gap" }),
      h("button", { type: "button", class: beyond ? "some" : "", "aria-expanded": String(!this.panel.hidden), "aria-controls": this.panel.id,
        "data-filter": "more", title: t("key.f"), onclick: () => this.toggle() }, beyond ? t("filter.some", { n: beyond }) : t("filter.more")));
    if (this.panel.hidden || this.panel.dataset.drawn === this.drawn()) return;
    this.panel.dataset.drawn = this.drawn();
    this.panel.replaceChildren(
      h("label", {}, h("span", {}, t("filter.words")), this.typing("q", q, "words")),
      h("label", {}, h("span", {}, t("filter.area")), this.areaChoice(area)),
      group(t("filter.state"), STATES.map((each) => chip(t(`state.${each}`), state.includes(each), () => this.set({ state: toggled(state, each) }), `state-${each}`))),
      group(t("filter.severity"), SEVERITIES.map((each) => chip(t(`severity.${each}`), severity.includes(each), () => this.set({ severity: toggled(severity, each) }), `severity-${each}`))),
      chip(t("filter.clear"), false, () => this.set({ ...WHATEVER }), "clear"));
  }

  // What the panel shows besides what is being typed into it: only then it is drawn anew.
  drawn() {
    const { state, severity } = this.wanted;
    return JSON.stringify([state, severity, this.areas.length, language, this.typed ? null : [this.wanted.q, this.wanted.area]]);
  }

  areaChoice(area) {
    if (!this.areas.length) return this.typing("area", area, "area");
    const option = (value, said) => h("option", { value, selected: value === area }, said);
    const known = this.areas.some((each) => each.code === area);
    return h("select", { "data-filter": "area", onchange: (event) => this.set({ area: event.target.value }) },
      option("", t("filter.everywhere")), area && !known ? option(area, area) : null,
      this.areas.map((each) => option(each.code, `${"\u2003".repeat(each.depth)}${text(each.name)}`)));
  }

  typing(name, value, key) {
    const input = h("input", { type: "search", value, maxlength: "100", "data-filter": key, autocomplete: "off", spellcheck: "false" });
    input.addEventListener("input", () => {
      clearTimeout(this.typed);
      this.typed = setTimeout(() => {
        this.set({ [name]: input.value });
        this.typed = 0;
        this.panel.dataset.drawn = this.drawn();
      }, TYPED_MS);
    });
    return input;
  }
}

// What the page's address asks for.
export function inAddress() {
  const asked = new URLSearchParams(location.search);
  return {
    ...WHATEVER, open: asked.get("open") !== "false", area: asked.get("area") ?? "", q: asked.get("q") ?? "",
    ...Object.fromEntries(Object.keys(MANY).map((name) => [name, asked.getAll(name)])),
  };
}

function toggled(among, each) {
  return among.includes(each) ? among.filter((other) => other !== each) : [...among, each];
}

function chip(label, on, press, key) {
  return h("button", { type: "button", "aria-pressed": String(on), "data-filter": key, onclick: press }, label);
}

function group(label, chips) {
  return h("div", { role: "group", "aria-label": label }, h("span", {}, label), chips);
}
