// The page of one camera: what it sees now with its zones drawn, its cases, its states, what judges it.

import { ApiProblem, casePage, get, mapPage } from "/wall/api.js";
import { camerasPath, followLive, Refresher, showPicture } from "/wall/live.js";
import { acceptView, factsOf, zonesOver } from "/wall/one_camera.js";
import { each, opened } from "/wall/opened.js";
import { isEngineer } from "/wall/person.js";
import { badge, isOpen, judged, light, since, trial } from "/wall/row.js";
import { link } from "/wall/shell.js";
import { now } from "/wall/time.js";
import { age, clock, day, h, t, text, ticks } from "/wall/words.js";

const $ = (id) => document.getElementById(id);
const LOOK_EVERY_MS = 4000;
const OLD_S = 15;
const CASES = 30;
const id = new URLSearchParams(location.search).get("id") ?? "";

let item = null;
let scenes = [];
let takenAt = null;
let watching = null;

const image = h("img", { alt: "", draggable: "false" });
const stage = h("div", { class: "stage" });
const how = h("span", {});
const taken = ticks(h("span", {}), old);
const facts = h("dl", { class: "facts" });
const open = h("ol", {});
const past = h("ol", {});
const spells = h("ol", {});

async function load() {
  try {
    [item, scenes] = [await get(camerasPath(id)), (await get("/v1/scenes")).items];
  } catch (error) {
    if (!(error instanceof ApiProblem && error.status === 404)) throw error;
    link("live");
    $("camera").replaceChildren(h("p", { class: "nothing" }, t("camera.none", { id })));
    return;
  }
  draw();
  await more();
  watch();
}

async function look() {
  if (!item) return;
  item = await get(camerasPath(id));
  facts.replaceChildren(...factsOf(item, scenes));
  await more();
}

async function more() {
  const asked = new URLSearchParams({ camera: id, limit: CASES });
  const [cases, history] = await Promise.all([get(`/v1/cases?${asked}`), get(camerasPath(id, "/history"))]);
  const rows = (wanted) => cases.items.filter((each) => isOpen(each) === wanted).map(row);
  open.replaceChildren(...orNothing(rows(true)));
  past.replaceChildren(...orNothing(rows(false)));
  spells.replaceChildren(...history.items.map((spell) => h("li", {}, h("time", { datetime: spell.since }, day(spell.since)),
    h("span", { class: `is is-${spell.state}` }, t(`camera.${spell.state}`)), spell.state === "live" ? null : text(spell.reason))));
}

function orNothing(rows) {
  return rows.length ? rows : [h("li", {}, t("none"))];
}

function row(each) {
  return h("li", { "data-case": each.id }, light(each), h("a", { href: casePage(each.id) }, text(each.title)), trial(each), badge(each), judged(each),
    ticks(h("time", { datetime: each.filed_at, title: clock(each.filed_at) }), () => since(each.filed_at)));
}

// -- the picture -----------------------------------------------------------------------------------------------------

// Live while the page is looked at; when the server has no stream to give, picture by picture.
function watch() {
  if (watching) return;
  watching = new AbortController();
  const { signal } = watching;
  how.textContent = t("live");
  followLive(id, { signal, onpicture: show, onlost: () => (how.textContent = t("connecting")), onrefused: () => {
    how.textContent = t("camera.by_picture");
    new Refresher({ aSecond: 1, atOnce: 1 }).watch(image, id, { onpicture: show, onnone: () => undefined });
  } });
}

function show({ blob, capturedAt }) {
  showPicture(image, blob);
  stage.classList.add("has");
  takenAt = capturedAt;
  if (how.textContent === t("connecting")) how.textContent = t("live");
  taken.textContent = old();
}

function old() {
  if (!takenAt) return "";
  const seconds = (now() - Date.parse(takenAt)) / 1000;
  taken.classList.toggle("old", seconds > Math.max(OLD_S, 3 * (item?.patience_s ?? 0)));
  return t("camera.taken", { age: age(seconds) });
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return watch();
  watching?.abort();
  watching = null;
  return undefined;
});

// -- drawing ---------------------------------------------------------------------------------------------------------

function draw() {
  if (!item) return;
  document.title = `${text(item.name) || item.id} · citybrain`;
  stage.replaceChildren(h("div", { class: "sheet" }, image, zonesOver(item)), h("span", { class: "without" }, t("mosaic.no_picture")));
  const zones = h("button", { type: "button", "aria-pressed": String(!stage.classList.contains("without-zones")), onclick: () =>
    zones.setAttribute("aria-pressed", String(!stage.classList.toggle("without-zones"))) }, t("camera.zones"));
  facts.replaceChildren(...factsOf(item, scenes));
  const part = (name, inside) => h("section", {}, h("h3", {}, t(name)), inside);
  $("camera").replaceChildren(
    h("div", {}, h("h2", {}, text(item.name) || item.id), stage,
      h("p", { class: "under" }, how, taken, item.zones.length ? zones : null, h("a", { href: mapPage({ camera: id }) }, t("camera.on_map")),
        isEngineer() ? h("a", { href: `/wall/zones.html?${new URLSearchParams({ camera: id })}` }, t("camera.edit_zones")) : null,
        isEngineer() ? acceptView(item, () => ($("said").textContent = t("camera.accepted"))) : null),
      part("camera.open_cases", open), part("camera.past_cases", past)),
    h("div", {}, part("camera.facts", facts), part("camera.states", spells)));
}

function redraw() {
  draw();
  if (item) more().catch(() => undefined);
}

await opened({ load, redraw });
each(LOOK_EVERY_MS, look);
