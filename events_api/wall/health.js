// Camera health: every camera with what is wrong with it; sorted, sought, taken home as a table, and kept fresh where somebody looks.

import { get } from "/wall/api.js";
import { COLUMNS, sorted, stateText } from "/wall/health_columns.js";
import { Table } from "/wall/health_table.js";
import { OneCamera } from "/wall/one_camera.js";
import { each, opened } from "/wall/opened.js";
import { h, t, text } from "/wall/words.js";

const $ = (id) => document.getElementById(id);
const STATES = ["refused", "lost", "unusable", "stale", "unknown", "connecting", "live"];
const NAMES = ["q", "reason", "area"];
const IN_SIGHT_EVERY_MS = 3000;
const ALL_EVERY_MS = 60000;
const PAGE = 1000;

const table = new Table($("heads"), $("rows"), { onsort: sortBy, onchoose: choose });
const one = new OneCamera($("one"), { onaccepted: () => ($("said").textContent = t("camera.accepted")) });
const said = new URLSearchParams(location.search);
const wanted = { states: said.getAll("state"), ...Object.fromEntries(NAMES.map((name) => [name, said.get(name) ?? ""])) };
const sort = { column: COLUMNS.some(({ key }) => key === said.get("sort")) ? said.get("sort") : "state", down: said.get("down") === "true" };

let cameras = new Map();
let areas = [];
let askedAt = 0;

async function load() {
  areas = (await get("/v1/areas").catch(() => ({ items: [] }))).items;
  await learnAll();
  draw();
  arrange();
  one.learn((await get("/v1/scenes")).items);
  const id = said.get("camera") ?? table.items[0]?.id;
  if (id && !table.chosen) choose(id);
}

// Page by page, so that no answer is long; what is shown meanwhile stays.
async function learnAll() {
  const found = new Map();
  let cursor = null;
  do {
    const page = await get(`/v1/cameras?${new URLSearchParams({ limit: PAGE, ...(cursor && { cursor }) })}`);
    for (const item of page.items) found.set(item.id, item);
    cursor = page.next;
  } while (cursor);
  cameras = found;
  askedAt = performance.now();
}

// What is in sight, often; everything, now and then. Nothing changes its place by itself.
async function look() {
  if (performance.now() - askedAt > ALL_EVERY_MS) {
    await learnAll();
    table.update(cameras);
  } else {
    const ids = [...new Set([...table.inSight(), ...(table.chosen ? [table.chosen] : [])])];
    if (!ids.length) return;
    const { items } = await get(`/v1/cameras?${new URLSearchParams(ids.map((id) => ["id", id]))}`);
    for (const item of items) cameras.set(item.id, item);
    table.update(new Map(items.map((item) => [item.id, item])));
  }
  one.update(cameras.get(table.chosen));
  figures();
  offerSort();
}

function matching({ any = false } = {}) {
  const words = wanted.q.toLowerCase().trim();
  return [...cameras.values()].filter((item) => (any || !wanted.states.length || wanted.states.includes(item.state)) &&
    (!wanted.area || item.grid_cell?.startsWith(wanted.area)) && (any || !wanted.reason || text(item.reason) === wanted.reason) &&
    (!words || `${item.id}\n${item.name.zh}\n${item.name.en}`.toLowerCase().includes(words)));
}

// -- order -----------------------------------------------------------------------------------------------------------

function arrange() {
  table.show(sorted(matching(), sort), sort);
  $("count").textContent = t("health.count", { n: table.items.length, all: cameras.size });
  $("sort").hidden = true;
  const asked = new URLSearchParams([...wanted.states.map((state) => ["state", state]), ...(wanted.q ? [["q", wanted.q]] : []), ...(wanted.area ? [["grid_cell", wanted.area]] : [])]);
  $("csv").href = `/v1/cameras.csv${asked.size ? `?${asked}` : ""}`;
  figures();
}

// Cameras that would stand elsewhere by now, or no longer belong here: said, and done when somebody wants it.
function offerSort() {
  const now = sorted(matching(), sort);
  const moved = now.filter((item, index) => table.items[index]?.id !== item.id).length + Math.max(0, table.items.length - now.length);
  $("sort").hidden = moved === 0;
  $("sort").textContent = t("health.sort", { n: moved });
}

function sortBy(column) {
  sort.down = sort.column === column ? !sort.down : false;
  sort.column = column;
  write();
  arrange();
}

function want(change) {
  Object.assign(wanted, change);
  write();
  draw();
  arrange();
}

function choose(id) {
  const item = cameras.get(id);
  table.choose(id);
  one.show(item ?? null);
  if (item) $("said").textContent = `${text(item.name) || id}: ${stateText(item)}`;
}

function write() {
  const asked = new URLSearchParams([...wanted.states.map((state) => ["state", state]), ...NAMES.filter((name) => wanted[name]).map((name) => [name, wanted[name]]),
    ["sort", sort.column], ...(sort.down ? [["down", "true"]] : [])]);
  history.replaceState(null, "", `${location.pathname}?${asked}`);
}

// -- drawing ---------------------------------------------------------------------------------------------------------

function counted() {
  const found = new Map(STATES.map((state) => [state, 0]));
  for (const item of matching({ any: true })) found.set(item.state, found.get(item.state) + 1);
  return found;
}

function draw() {
  const counts = counted();
  const reasons = new Map();
  for (const item of cameras.values()) if (item.state !== "live" && text(item.reason)) reasons.set(text(item.reason), (reasons.get(text(item.reason)) ?? 0) + 1);
  const input = h("input", { type: "search", name: "q", value: wanted.q, maxlength: "100", autocomplete: "off", oninput: () => {
    wanted.q = input.value;
    write();
    arrange();
  } });
  const toggled = (state) => (wanted.states.includes(state) ? wanted.states.filter((other) => other !== state) : [...wanted.states, state]);
  $("choice").onsubmit = (event) => event.preventDefault();
  $("choice").replaceChildren(
    h("label", {}, t("map.by.q"), input),
    h("label", {}, t("health.reason"), choice("reason", [...reasons].sort((a, b) => b[1] - a[1]).map(([reason, n]) => [reason, `${reason} (${n})`]))),
    areas.length ? h("label", {}, t("map.by.area"), choice("area", areas.map(({ code, name, depth }) => [code, `${"\u2003".repeat(depth ?? 0)}${text(name)}`]))) : "",
    h("div", { class: "states", role: "group", "aria-label": t("health.state") }, STATES.filter((state) => counts.get(state) || wanted.states.includes(state)).map((state) =>
      h("button", { type: "button", class: `is is-${state}`, "aria-pressed": String(wanted.states.includes(state)), "data-state": state, onclick: () => want({ states: toggled(state) }) }, `${t(`camera.${state}`)} ${counts.get(state)}`))));
}

function choice(name, options) {
  return h("select", { name, onchange: (event) => want({ [name]: event.target.value }) }, h("option", { value: "" }, t("filter.all")),
    options.map(([value, label]) => h("option", { value, selected: wanted[name] === value }, label)));
}

function figures() {
  const counts = counted();
  for (const button of $("choice").querySelectorAll("[data-state]")) button.textContent = `${t(`camera.${button.dataset.state}`)} ${counts.get(button.dataset.state)}`;
  const late = [...cameras.values()].filter((item) => item.late).length;
  $("figures").textContent = [t("mosaic.figures", { live: [...cameras.values()].filter((item) => item.state === "live").length, n: cameras.size }), late ? t("health.late", { n: late }) : ""].filter(Boolean).join(" · ");
}

function redraw() {
  wanted.reason = ""; // reasons are sought in the language that they are read in
  draw();
  arrange();
  one.draw();
}

$("sort").addEventListener("click", arrange);

await opened({ load, redraw });
each(IN_SIGHT_EVERY_MS, look);
