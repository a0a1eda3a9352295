// The mosaic: the latest pictures of chosen cameras, each with its age, its state and its open cases as a frame.

import { cameraPage, casePage, get } from "/wall/api.js";
import { Chooser, MOST } from "/wall/mosaic_chooser.js";
import { Refresher, showPicture } from "/wall/live.js";
import { OpenCases, worstLight } from "/wall/open_cases.js";
import { each, opened } from "/wall/opened.js";
import { now } from "/wall/time.js";
import { age, h, t, text, tick, ticks } from "/wall/words.js";

const $ = (id) => document.getElementById(id);
const STATES_EVERY_MS = 3000;
const FIRST = 12; // shown when nobody has chosen: those with open cases, then those in trouble
const OLD_S = 15;
const CAPTION_PX = 46;

const open = new OpenCases({ onchange: frames });
const refresher = new Refresher();
const chooser = new Chooser($("chooser"), { onchange: choose });
const tiles = new Map();
let chosen = new URLSearchParams(location.search).getAll("camera").slice(0, MOST);

async function load() {
  const [known] = await Promise.all([get("/v1/map/cameras"), chooser.learn(), open.load()]);
  chooser.from(known.items, chosen);
  if (!chosen.length) {
    const cases = open.byCamera();
    const urgent = (item) => (cases.has(item.id) ? 2 : 0) + (item.state !== "live" ? 1 : 0);
    lay([...known.items].sort((a, b) => urgent(b) - urgent(a)).slice(0, FIRST).map(({ id }) => id));
  } else lay(chosen);
  await look();
}

// Chosen by somebody: kept in the address, to be shared and found again.
function choose(ids) {
  chosen = ids.slice(0, MOST);
  const said = new URLSearchParams(chosen.map((id) => ["camera", id]));
  history.replaceState(null, "", `${location.pathname}${said.size ? `?${said}` : ""}`);
  lay(chosen);
  look();
}

function lay(ids) {
  for (const [id, tile] of tiles) {
    if (ids.includes(id)) continue;
    refresher.drop(tile.node);
    tile.node.remove();
    tiles.delete(id);
  }
  for (const id of ids) if (!tiles.has(id)) tiles.set(id, new Tile(id));
  const nodes = ids.map((id) => tiles.get(id).node);
  if (nodes.some((node, index) => node !== $("tiles").children[index])) $("tiles").append(...nodes);
  spread();
  $("none").hidden = ids.length > 0;
  frames();
}

// As few columns as let all tiles be seen at once; where they cannot be, rather large ones.
function spread() {
  const { clientWidth: wide, clientHeight: high } = $("tiles");
  const fits = (across) => Math.ceil(tiles.size / across) * (((wide / across) * 9) / 16 + CAPTION_PX) <= high;
  const across = [1, 2, 3, 4, 5, 6, 7, 8].find(fits) ?? Math.ceil(Math.sqrt(tiles.size || 1));
  $("tiles").style.setProperty("--across", String(across));
}

async function look() {
  if (!tiles.size) return figures();
  const { items } = await get(`/v1/cameras?${new URLSearchParams([...tiles.keys()].map((id) => ["id", id]))}`);
  const found = new Map(items.map((item) => [item.id, item]));
  for (const [id, tile] of tiles) tile.know(found.get(id) ?? null);
  return figures();
}

function frames() {
  const cases = open.byCamera();
  for (const [id, tile] of tiles) tile.frame(cases.get(id) ?? []);
}

function figures() {
  const live = [...tiles.values()].filter(({ camera }) => camera?.state === "live").length;
  $("figures").textContent = t("mosaic.figures", { live, n: tiles.size });
}

class Tile {
  constructor(id) {
    this.id = id;
    this.camera = null;
    this.taken = null;
    this.cases = [];
    this.image = h("img", { alt: "", draggable: "false" });
    this.state = h("span", { class: "is is-unknown" });
    this.name = h("b", {}, id);
    this.count = h("span", {});
    this.age = ticks(h("span", { class: "age" }), () => this.old());
    this.drop = h("button", { type: "button", class: "drop", onclick: () => choose([...tiles.keys()].filter((other) => other !== id)) }, "×");
    this.without = h("span", {});
    this.view = h("a", { class: "view", href: cameraPage(id) }, this.without, this.image);
    this.node = h("li", { class: "tile", "data-camera": id }, this.view, h("div", { class: "said" }, this.name, this.state, this.age, this.count), this.drop);
    refresher.watch(this.node, id, { onpicture: (picture) => this.show(picture), onnone: () => this.draw() });
    this.draw();
  }

  show({ blob, capturedAt }) {
    showPicture(this.image, blob);
    this.taken = capturedAt ?? new Date(now()).toISOString();
    this.node.classList.add("has");
    this.draw();
  }

  know(camera) {
    this.camera = camera;
    this.draw();
  }

  frame(cases) {
    this.cases = cases;
    this.node.dataset.light = cases.length ? worstLight(cases) : "none";
    const first = cases[0];
    this.count.replaceChildren(...(first ? [h("a", { class: "cases", href: casePage(first.id), title: text(first.title) }, cases.length > 1 ? t("map.cases", { n: cases.length }) : text(first.title))] : []));
  }

  // How old the picture is; it is old when the camera should long have been looked at again.
  old() {
    if (!this.taken) return "";
    const seconds = (now() - Date.parse(this.taken)) / 1000;
    this.node.classList.toggle("old", seconds > Math.max(OLD_S, 3 * (this.camera?.patience_s ?? 0)));
    return age(seconds);
  }

  draw() {
    const { camera } = this;
    this.name.textContent = text(camera?.name) || this.id;
    this.image.alt = this.name.textContent;
    this.drop.title = t("mosaic.drop");
    this.drop.setAttribute("aria-label", `${t("mosaic.drop")}: ${this.name.textContent}`);
    this.without.textContent = `${this.name.textContent}: ${t("mosaic.no_picture")}`;
    const state = camera?.state ?? "unknown";
    this.state.className = `is is-${state}`;
    const why = camera && state !== "live" ? text(camera.reason) : "";
    const late = camera?.late ? t("camera.late", { age: Math.round(camera.staleness_s), patience: camera.patience_s }) : "";
    this.state.textContent = [t(`camera.${state}`), why, late].filter(Boolean).join(" · ");
    this.age.textContent = this.old();
  }
}

function redraw() {
  chooser.draw();
  for (const tile of tiles.values()) tile.draw();
  frames();
  figures();
  tick();
}

$("choose").addEventListener("click", () => {
  $("chooser").hidden = !$("chooser").hidden;
  $("choose").setAttribute("aria-expanded", String(!$("chooser").hidden));
  if (!$("chooser").hidden) chooser.open([...tiles.keys()]);
});

new ResizeObserver(spread).observe($("tiles"));

await opened({ load, redraw });
each(STATES_EVERY_MS, look);
