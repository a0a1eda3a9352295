// The map: every camera, every open case and the cells they lie in, on a ground of our own; it needs no word from outside.

import { get } from "/wall/api.js";
import { Card } from "/wall/map_card.js";
import { Chart } from "/wall/chart.js";
import { gathered, toWorld } from "/wall/clusters.js";
import { Base, LIFT, Palette, boxOf, drawCamera, drawCase, drawCells, drawGraticule, drawNames, drawScale, outlines } from "/wall/map_layers.js";
import { MapChoice } from "/wall/map_choice.js";
import { MapList } from "/wall/map_list.js";
import { OpenCases, gravest, graver, worstLight } from "/wall/open_cases.js";
import { each, opened } from "/wall/opened.js";
import { t, text } from "/wall/words.js";

const $ = (id) => document.getElementById(id);
const TROUBLE = ["refused", "lost", "unusable", "stale", "unknown", "connecting"];
const STATES_EVERY_MS = 5000;
const ALL_EVERY_MS = 600000;
const GATHER_PX = { camera: 26, case: 46 };
const CLOSE = 18;
const LISTED = 60;
const SETTLE_MS = 400; // the list is drawn anew at most so often, or nobody could read it

const open = new OpenCases({ onchange: changed });
const choice = new MapChoice($("choice"), { onchange: sort });
const list = new MapList($("within"), $("within-title"), { onpoint: (item) => point(item), place });
const card = new Card($("card"), { place });
const chart = new Chart($("chart"), { draw, onmoved: moved, onpoint: hover, onpick: pick });
const palette = new Palette();

let colours = palette.read();
let base = new Base({ features: [] });
let cameras = new Map();
let shown = { cameras: [], cases: [] }; // what the choice lets through and has a place
let marks = { level: null, cameras: [], cases: [] };
let levels = new Map(); // outlines by digits of the code
let pointed = null; // the id that is pointed at, here or in the list
let asked = 0;
let drawnAt = 0;
let drawing = 0;

// -- loading ---------------------------------------------------------------------------------------------------------

async function load() {
  colours = palette.read(); // the theme is chosen by now
  const [ground, points] = await Promise.all([get("/v1/map"), get("/v1/map/cameras"), choice.learn(), open.load()]);
  base = new Base(ground);
  learn(points.items);
  choice.from(points.items);
  sort();
  if (!asked) arrive();
  asked = performance.now();
}

function learn(items) {
  cameras = new Map(items.map((item) => [item.id, item]));
  levels.clear();
}

// Those in trouble, often; whoever is not among them is well. All of them when there are others than before, and now and then.
async function look() {
  const { items, counts } = await get(`/v1/map/cameras?${new URLSearchParams(TROUBLE.map((state) => ["state", state]))}`);
  const all = Object.values(counts).reduce((sum, n) => sum + n, 0);
  if (all !== cameras.size || items.some(({ id }) => !cameras.has(id)) || performance.now() - asked > ALL_EVERY_MS) {
    asked = performance.now();
    learn((await get("/v1/map/cameras")).items);
  } else {
    const troubled = new Map(items.map((item) => [item.id, item]));
    const well = { state: "live", reason: { zh: "", en: "" }, late: false };
    for (const [id, item] of cameras) cameras.set(id, troubled.get(id) ?? (item.state === "live" ? item : { ...item, ...well }));
  }
  sort();
}

function changed(ids) {
  if (ids !== null) sort();
}

// What the choice lets through.
function sort() {
  const cases = [...open.cases.values()].filter((item) => choice.wantsCase(item));
  shown = {
    cameras: [...cameras.values()].filter((item) => choice.wantsCamera(item)).map(placed).filter(Boolean),
    cases: cases.map(placed).filter(Boolean),
    unplaced: cases.filter((item) => !where(item)).length,
  };
  marks.level = null;
  chart.redraw();
  listSoon();
  figures();
}

function where(item) {
  return item.location ?? cameras.get(item.cameras?.[0])?.location ?? null;
}

function placed(item) {
  const at = where(item);
  if (!at) return null;
  const [x, y] = toWorld(at.lon, at.lat);
  return { x, y, item };
}

function place(item) {
  if (!item.cameras) return item.grid_cell ?? item.id;
  const camera = cameras.get(item.cameras[0]);
  return camera ? text(camera.name) || camera.id : item.cameras[0] ?? t("map.reported");
}

// -- where to look ---------------------------------------------------------------------------------------------------

function arrive() {
  const wanted = new URLSearchParams(location.search);
  const item = open.cases.get(wanted.get("case")) ?? cameras.get(wanted.get("camera"));
  const at = item && where(item);
  if (at) {
    pointed = item.id;
    chart.centre(at.lon, at.lat, CLOSE);
    card.show(item, chart.toScreen(...toWorld(at.lon, at.lat)), { held: true });
  } else if (!toAddress()) whole();
  if (wanted.has("case") && !item) findClosed(wanted.get("case"));
}

// The view that the address names: #zoom/latitude/longitude. False when it names none.
function toAddress() {
  const [zoom, lat, lon] = (location.hash.slice(1).match(/^[\d.]+\/-?[\d.]+\/-?[\d.]+$/) ?? [""])[0].split("/").map(Number);
  if (lon) chart.centre(lon, lat, zoom);
  return Boolean(lon);
}

// A case that is not open any more still has a place.
async function findClosed(id) {
  const item = await get(`/v1/cases/${id.split("/").map(encodeURIComponent).join("/")}`).catch(() => null);
  const at = item && where(item);
  if (at) chart.centre(at.lon, at.lat, CLOSE);
  $("said").textContent = t(item ? "map.not_open" : "page.none", { id });
}

function whole() {
  const points = [...shown.cameras, ...shown.cases].map(({ x, y }) => [x, y]);
  if (points.length) chart.fit(boxOf(points));
  else if (base.box) chart.fit(base.box);
}

function moved() {
  const [lon, lat] = chart.degreesAt(chart.width / 2, chart.height / 2);
  history.replaceState(null, "", `${location.pathname}${location.search}#${chart.zoom.toFixed(1)}/${lat.toFixed(5)}/${lon.toFixed(5)}`);
  listSoon();
}

// -- drawing ---------------------------------------------------------------------------------------------------------

function draw(context) {
  gather();
  const named = base.draw(context, chart, colours);
  drawGraticule(context, chart, colours);
  const taken = [];
  drawCells(context, chart, cells(), colours, about, taken);
  drawNames(context, chart, named, colours, taken);
  context.textAlign = "center";
  context.textBaseline = "middle";
  const [left, top, right, bottom] = chart.seen;
  const inSight = ({ x, y }) => x >= left && x <= right && y >= top && y <= bottom;
  for (const mark of marks.cameras.filter(inSight)) drawCamera(context, chart.toScreen(mark.x, mark.y), mark.items, colours, { chosen: holds(mark) });
  const below = 40 / chart.scale;
  for (const mark of marks.cases.filter(({ x, y }) => x >= left && x <= right && y >= top && y <= bottom + below)) {
    drawCase(context, chart.toScreen(mark.x, mark.y), mark.light, mark.items.length, colours, { critical: mark.critical, chosen: holds(mark) });
  }
  drawScale(context, chart, colours);
}

function holds({ items }) {
  return pointed !== null && items.some(({ id }) => id === pointed);
}

// Marks that would cover each other are one; reckoned anew with each half step of enlargement, and when something changed.
function gather() {
  const level = Math.round(chart.zoom * 2) / 2;
  if (marks.level === level) return;
  const scale = 256 * 2 ** level;
  const cases = gathered(shown.cases, GATHER_PX.case / scale);
  for (const mark of cases) {
    mark.light = worstLight(mark.items);
    mark.critical = mark.items.some(({ severity }) => severity === "critical");
  }
  cases.sort((a, b) => a.y - b.y);
  marks = { level, cameras: gathered(shown.cameras, GATHER_PX.camera / scale), cases };
  marks.areas = null;
}

// The farther away, the larger the areas whose outlines are drawn: cell, community, street, district.
function digits() {
  if (chart.zoom >= 15.5) return 15;
  if (chart.zoom >= 13.5) return 12;
  return chart.zoom >= 11.5 ? 9 : 6;
}

function cells() {
  const wanted = digits();
  if (!levels.has(wanted)) levels.set(wanted, outlines([...cameras.values()].filter((item) => choice.wantsArea(item)), wanted));
  return levels.get(wanted);
}

function about(code) {
  if (!marks.areas || marks.areas.digits !== code.length) {
    const found = new Map();
    for (const { item } of shown.cases) {
      const key = item.grid_cell?.slice(0, code.length);
      if (!found.has(key)) found.set(key, []);
      found.get(key).push(item);
    }
    marks.areas = { digits: code.length, found };
  }
  const items = marks.areas.found.get(code) ?? [];
  return { name: choice.areaName(code), light: items.length ? worstLight(items) : null, count: items.length };
}

function figures() {
  const troubled = shown.cameras.filter(({ item }) => item.state !== "live").length;
  const said = [t("map.cases", { n: shown.cases.length }), t("map.cameras", { n: shown.cameras.length }), troubled ? t("map.troubled", { n: troubled }) : ""];
  if (shown.unplaced) said.push(t("map.unplaced", { n: shown.unplaced }));
  if (open.more) said.push(t("map.more"));
  $("figures").textContent = said.filter(Boolean).join(" · ");
}

function listSoon() {
  drawing ||= setTimeout(() => {
    drawing = 0;
    drawnAt = performance.now();
    const [left, top, right, bottom] = chart.seen;
    const here = (points) => points.filter(({ x, y }) => x >= left && x <= right && y >= top && y <= bottom).map(({ item }) => item);
    const [cases, points] = [here(shown.cases), here(shown.cameras)];
    const troubled = points.filter(({ state }) => state !== "live");
    const listed = [...gravest(cases, LISTED), ...troubled.slice(0, LISTED), ...points.filter(({ state }) => state === "live").slice(0, Math.max(0, LISTED - troubled.length))];
    list.show(listed, { cases: cases.length, cameras: points.length }, pointed);
  }, Math.max(0, drawnAt + SETTLE_MS - performance.now()));
}

// -- pointing --------------------------------------------------------------------------------------------------------

// The mark at this point of the canvas: cases first, they stand above.
function markAt([left, top]) {
  const near = (mark, lift, reach) => {
    const [x, y] = chart.toScreen(mark.x, mark.y);
    return Math.hypot(x - left, y - lift - top) <= reach;
  };
  return marks.cases.findLast((mark) => near(mark, LIFT, 15)) ?? marks.cameras.findLast((mark) => near(mark, 0, mark.items.length > 1 ? 15 : 9)) ?? null;
}

function hover(at) {
  const [lon, lat] = at ? chart.degreesAt(...at) : [];
  $("pointer").textContent = at ? `${lon.toFixed(5)}, ${lat.toFixed(5)} · WGS 84` : "";
  if (card.held) return;
  const mark = at && markAt(at);
  $("chart").classList.toggle("over", Boolean(mark));
  const wanted = mark ? mark.items[0].id : null;
  if (wanted === pointed) return;
  pointed = wanted;
  if (mark) card.of(mark.items, chart.toScreen(mark.x, mark.y), { held: false });
  else card.hide();
  chart.redraw();
}

function point(item) {
  pointed = item?.id ?? null;
  const at = item && where(item);
  if (at) card.show(item, chart.toScreen(...toWorld(at.lon, at.lat)), { held: false });
  else card.hide();
  chart.redraw();
}

// One thing opens its page; several come closer, or are listed where nothing brings them apart. A finger has not seen the
// card yet: it gets that first.
function pick(at, hand) {
  const mark = markAt(at);
  if (!mark) {
    pointed = null;
    card.hide();
    return chart.redraw();
  }
  const apart = mark.items.length > 1 && boxSize(mark.items) * chart.scale > 4 && chart.zoom < 19;
  if (apart) return chart.enlarge(1.5, ...at);
  if (mark.items.length === 1 && hand === "mouse") return location.assign(card.address(mark.items[0]));
  pointed = mark.items[0].id;
  card.of(mark.items[0].cameras ? [...mark.items].sort(graver) : mark.items, chart.toScreen(mark.x, mark.y), { held: true });
  return chart.redraw();
}

function boxSize(items) {
  const [left, top, right, bottom] = boxOf(items.map((item) => toWorld(where(item).lon, where(item).lat)));
  return Math.max(right - left, bottom - top);
}

function redraw() {
  colours = palette.read();
  choice.draw();
  card.hide();
  sort();
}

for (const [id, by] of [["nearer", 1], ["farther", -1]]) $(id).addEventListener("click", () => chart.enlarge(by));
$("whole").addEventListener("click", whole);
$("chart").addEventListener("keydown", (event) => {
  if (event.key === "Home") whole();
  if (event.key === "Escape") point(null);
});
addEventListener("hashchange", toAddress);
document.fonts?.ready.then(() => chart.redraw());

await opened({ load, redraw });
each(STATES_EVERY_MS, look);
