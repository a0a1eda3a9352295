// What the map shows: which scenes, which states of cases, which cameras, which area; kept in the address.

import { get } from "/wall/api.js";
import { h, t, text } from "/wall/words.js";

const STATES = ["filed", "dispatched", "handling", "verifying", "returned", "deferred"];
const NAMES = ["scene", "state", "severity", "area", "cameras"];
const SEVERITIES = ["critical", "high", "normal", "low"];
const CODES = [6, 9, 12, 15];

export class MapChoice {
  constructor(node, { onchange }) {
    Object.assign(this, { node, onchange });
    const said = new URLSearchParams(location.search);
    this.wanted = Object.fromEntries(NAMES.map((name) => [name, said.get(name) ?? ""]));
    this.scenes = [];
    this.areas = [];
    node.addEventListener("submit", (event) => event.preventDefault());
  }

  async learn() {
    const [scenes, areas] = await Promise.all([get("/v1/scenes"), get("/v1/areas").catch(() => ({ items: [] }))]);
    this.scenes = scenes.items;
    this.areas = areas.items;
  }

  // Where nobody has named the areas, the codes of the cameras say which there are.
  from(cameras) {
    if (!this.areas.length) {
      const codes = new Set(cameras.flatMap(({ grid_cell: code }) => (code ? CODES.slice(0, 3).map((digits) => code.slice(0, digits)) : [])));
      this.areas = [...codes].sort().map((code) => ({ code, name: { zh: code, en: code }, depth: CODES.indexOf(code.length) }));
    }
    this.names = new Map(this.areas.map((area) => [area.code, area]));
    this.draw();
  }

  areaName(code) {
    return text(this.names?.get(code)?.name) || code.slice(-3);
  }

  wantsCase(item) {
    const { scene, state, severity, area } = this.wanted;
    return (!scene || item.scene === scene) && (!state || item.state === state) && (!severity || item.severity === severity) && inside(item, area);
  }

  wantsCamera(item) {
    const { cameras, area } = this.wanted;
    return cameras !== "none" && (cameras !== "troubled" || item.state !== "live") && inside(item, area) && this.judges(item);
  }

  wantsArea(item) {
    return inside(item, this.wanted.area);
  }

  // Whether the scene that was chosen judges anything on this camera.
  judges(item) {
    const kind = this.scenes.find(({ id }) => id === this.wanted.scene)?.zone_kind ?? "any";
    return kind === "any" || item.zones.includes(kind);
  }

  set(name, value) {
    this.wanted[name] = value;
    const said = new URLSearchParams(location.search);
    for (const each of [...NAMES, "case", "camera"]) said.delete(each);
    for (const each of NAMES) if (this.wanted[each]) said.set(each, this.wanted[each]);
    history.replaceState(null, "", `${location.pathname}${said.size ? `?${said}` : ""}${location.hash}`);
    this.onchange();
  }

  draw() {
    const all = ["", t("filter.all")];
    const choices = {
      scene: [["", t("filter.scene")], ...this.scenes.map((scene) => [scene.id, text(scene.title)])],
      state: [all, ...STATES.map((state) => [state, t(`state.${state}`)])],
      severity: [all, ...SEVERITIES.map((severity) => [severity, t(`severity.${severity}`)])],
      area: [all, ...this.areas.map(({ code, name, depth }) => [code, `${"\u2003".repeat(depth ?? 0)}${text(name)}`])],
      cameras: [all, ["troubled", t("map.only_troubled")], ["none", t("map.no_cameras")]],
    };
    this.node.replaceChildren(...NAMES.map((name) => h("label", {}, t(`map.by.${name}`),
      h("select", { name, "data-choice": name, onchange: (event) => this.set(name, event.target.value) },
        choices[name].map(([value, said]) => h("option", { value, selected: value === this.wanted[name] }, said))))));
  }
}

function inside(item, area) {
  return !area || Boolean(item.grid_cell?.startsWith(area));
}
