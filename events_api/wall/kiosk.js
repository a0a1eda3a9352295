// The wall for a room: the newest open cases in turn, large, with nothing to click. The address filters as the wall's does.

import { ApiProblem, Stream, get, stats } from "/wall/api.js";
import { CameraNames } from "/wall/cameras.js";
import { logIn } from "/wall/dialogs.js";
import { Filters, inAddress } from "/wall/filters.js";
import { meet } from "/wall/person.js";
import { badge, countdown, isOpen, judged, light, placeOf, seen, since, thumbnail, trial, waits } from "/wall/row.js";
import { arrive, begin, link, lostSince, nextTheme, otherLanguage } from "/wall/shell.js";
import { now } from "/wall/time.js";
import { h, t, text, ticks } from "/wall/words.js";

const $ = (id) => document.getElementById(id);
const TURN_MS = 8000;
const LOOK_EVERY_MS = 4000;
const TURNS = 12; // so many of the newest are shown in turn
const LISTED = 5;
const KEPT = 200;

const names = new CameraNames({ onknown: () => draw() });
const filters = new Filters(null, null, {});
const stream = new Stream({ onevent: (event) => take(event.data), onopen: found, onlost: lost, refused: () => load() });

let cases = []; // the open ones, newest first
let shown = null;
let turnAt = 0;
let lostAt = null;
let figures = null;
let unjudged = 0;

const load = () => arrive(everything, lost);

async function everything() {
  await meet();
  filters.wanted = inAddress();
  await filters.learn();
  const page = await get(`/v1/cases?${filters.query({ limit: KEPT })}`);
  cases = page.items.filter(isOpen);
  shown = null;
  turn();
  await look();
  stream.follow(page.as_of);
}

async function look() {
  try {
    const asked = filters.query({ limit: KEPT, judged: "none", severity: "critical" });
    asked.set("open", "true");
    asked.delete("state");
    const [known, waiting] = await Promise.all([stats(), get(`/v1/cases?${asked}`)]);
    figures = known;
    unjudged = waiting.items.filter(waits).length;
    stream.behind(known.cursor);
    counts();
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 401) await logIn();
  }
}

function take(item) {
  const isNew = !cases.some((each) => each.id === item.id);
  cases = cases.filter((each) => each.id !== item.id);
  if (isOpen(item) && filters.wants(item)) {
    cases = [item, ...cases].sort((a, b) => (a.filed_at < b.filed_at ? 1 : -1)).slice(0, KEPT);
    // What is new is shown at once, and then as long as any other.
    if (isNew && cases[0] === item) show(item);
  } else if (shown === item.id) turn();
  draw();
}

// The next of the newest; a fire that nobody has judged comes before all others.
function turn() {
  const turning = [...cases.filter(waits), ...cases.filter((each) => !waits(each))].slice(0, TURNS);
  const at = turning.findIndex((each) => each.id === shown);
  show(turning[(at + 1) % turning.length] ?? null);
}

function show(item) {
  shown = item?.id ?? null;
  turnAt = performance.now() + TURN_MS;
  draw();
}

function draw() {
  const item = cases.find((each) => each.id === shown);
  const key = JSON.stringify([item?.id, item?.version, document.documentElement.lang, names.known.size]);
  if ($("shown").dataset.key !== key) {
    $("shown").dataset.key = key;
    $("shown").dataset.case = item?.id ?? "";
    $("shown").className = item ? `severity-${item.severity}` : "";
    $("shown").replaceChildren(...(item ? large(item) : [h("p", { class: "none" }, t("none.open"))]));
  }
  const others = cases.filter((each) => each.id !== shown).slice(0, LISTED);
  $("next").replaceChildren(...others.map((each) => h("li", { class: `severity-${each.severity}` },
    h("b", {}, light(each), text(each.title)), h("span", {}, placeOf(each, names)),
    countdown(each) ?? ticks(h("time", { datetime: each.filed_at }), () => since(each.filed_at)))));
}

function large(item) {
  return [
    thumbnail(item, { alt: `${text(item.title)}, ${placeOf(item, names)}`, eager: true }),
    h("h2", {}, light(item), text(item.title), trial(item)),
    h("p", { class: "place" }, placeOf(item, names)),
    h("p", { class: "state" }, badge(item), judged(item), seen(item), ticks(h("time", { datetime: item.filed_at }), () => since(item.filed_at)), countdown(item)),
  ];
}

function counts() {
  const open = (states) => Object.entries(states).reduce((sum, [state, n]) => sum + (isOpen({ state }) ? n : 0), 0);
  const { scene } = filters.wanted;
  const scenes = filters.scenes.filter((each) => !scene.length || scene.includes(each.id));
  const cameras = Object.values(figures.cameras).reduce((sum, n) => sum + n, 0);
  const told = [
    [t("figure.open"), open(figures.cases), ""], [t("kiosk.unjudged"), unjudged, unjudged ? "bad" : ""],
    ...scenes.map((each) => [text(each.title), open(figures.scenes[each.id] ?? {}), ""]),
    [t("figure.cameras"), `${figures.cameras.live ?? 0}/${cameras}`, ""],
  ];
  $("counts").replaceChildren(...told.map(([name, value, kind]) => h("div", { class: kind }, h("dt", {}, name), h("dd", {}, String(value)))));
}

function lost() {
  lostSince((lostAt ??= now()));
}

function found() {
  lostAt = null;
  lostSince(null);
}

async function speakOther() {
  await otherLanguage();
  if (lostAt) lostSince(lostAt);
  else link("live");
  draw();
  if (figures) counts();
}

document.addEventListener("keydown", (event) => {
  if (event.target.closest("dialog")) return;
  if (event.key === "l") speakOther();
  if (event.key === "t") nextTheme();
});

await begin();
link("connecting");
await load();
setInterval(() => performance.now() >= turnAt && turn(), 250);
setInterval(look, LOOK_EVERY_MS);
