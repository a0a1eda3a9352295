// The wall: what is new, where, how sure, how late; confirmed or rejected in one key press.

import { ApiProblem, Stream, get, post } from "/wall/api.js";
import { CameraNames, CameraStrip, SHOWN } from "/wall/cameras.js";
import { CaseList } from "/wall/cases.js";
import { Detail } from "/wall/detail.js";
import { askReason, logIn, showHelp } from "/wall/dialogs.js";
import { age, clock, day, h, other, preferred, speak, t, text, tick } from "/wall/words.js";

const $ = (id) => document.getElementById(id);
const PAGE = 100;
const LOOK_EVERY_MS = 4000;
const SETTLE_MS = 1200; // a key meant for one case must not hit the one that just took its place
const EVENTS_SHOW = { closed: ["closed"], rejected: ["rejected"] };

const strip = new CameraStrip($("cameras"));
const names = new CameraNames({ onknown: named });
const list = new CaseList($("cases"), { place, onchoose: (id) => choose(id) });
const detail = new Detail($("detail"), { place, cameraName: (id) => names.name(id), onact: act, onback: back });
const stream = new Stream({ onevent: take, onopen: found, onlost: lost, refused });

let scenes = [];
let filter = { open: true, scene: null };
let following = true; // the newest case is shown as it comes; ends when someone chooses one
let shownAt = 0;
let unread = new Set();
let next = null;
let lostAt = null;
let missed = 0;
let asking = false;

function place(item) {
  const zone = item.zone && item.zone !== "view" ? ` · ${item.zone}` : "";
  const more = item.cameras.length > 1 ? ` · ${t("merged", { n: item.cameras.length })}` : "";
  return `${names.name(item.cameras[0])}${zone}${more}`;
}

function named(ids) {
  list.redraw((item) => item.cameras.some((id) => ids.has(id)));
  if (detail.item?.cameras.some((id) => ids.has(id))) detail.draw();
}

// -- loading ---------------------------------------------------------------------------------------------------------

async function start() {
  await speak(preferred());
  theme(localStorage.getItem("theme") ?? "auto");
  setInterval(tick, 1000);
  setInterval(() => ($("now").textContent = clock(Date.now())), 1000);
  link("connecting");
  await load();
  setInterval(look, LOOK_EVERY_MS);
}

async function load() {
  try {
    const [known] = await Promise.all([get("/v1/scenes"), lookAtCameras()]);
    scenes = known.items;
    await fill();
    await look();
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 401) {
      await logIn();
      return load();
    }
    lost();
    setTimeout(load, 2000);
  }
}

function query(more = {}) {
  const asked = new URLSearchParams({ limit: PAGE, ...more });
  if (filter.open) asked.set("open", "true");
  if (filter.scene) asked.set("scene", filter.scene);
  return `/v1/cases?${asked}`;
}

async function fill() {
  const page = await get(query());
  unread.clear();
  list.fill(page.items);
  next = page.next;
  follow(true);
  draw();
  if (!stream.source || Number(page.as_of) < Number(stream.cursor)) stream.follow(page.as_of);
}

async function older() {
  const page = await get(query({ cursor: next }));
  list.append(page.items);
  next = page.next;
  draw();
}

async function lookAtCameras() {
  const cameras = await get(`/v1/cameras?order=urgency&limit=${SHOWN}`);
  names.learn(cameras.items);
  strip.show(cameras.items, Object.values(cameras.counts).reduce((sum, n) => sum + n, 0));
}

async function look() {
  try {
    const [stats] = await Promise.all([get("/v1/stats"), lookAtCameras()]);
    figures(stats);
    stream.behind(stats.cursor);
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 401) await logIn();
    // The stream says when the connection is lost; a look that failed is taken again.
  }
}

// -- events ----------------------------------------------------------------------------------------------------------

function take(event) {
  if (lostAt) missed += 1;
  const item = { ...event.data, allowed: list.get(event.data.id)?.allowed ?? [] };
  const known = list.get(item.id);
  if (known || wanted(item)) {
    item.allowed = allowed(item, known);
    const isNew = list.put(item, { hold: !following });
    if (isNew) {
      $("said").textContent = t("new_case", { title: text(item.title), place: place(item) });
      if (following) follow(false);
      else unread.add(item.id);
    }
    if (detail.item?.id === item.id && item.version > detail.item.version) {
      detail.show(item);
      refresh(item.id);
    }
  }
  draw();
}

function wanted(item) {
  if (filter.scene && item.scene !== filter.scene) return false;
  return !filter.open || !EVENTS_SHOW[item.state];
}

// Until the case is asked for again: what can be done follows from its state, and the server has the last word.
function allowed(item, known) {
  if (known?.state === item.state && known.allowed.length) return known.allowed;
  return EVENTS_SHOW[item.state] ? ["reopen"] : ["confirm", "reject"];
}

async function refresh(id) {
  try {
    const path = id.split("/").map(encodeURIComponent).join("/");
    const [item, timeline] = await Promise.all([get(`/v1/cases/${path}`), get(`/v1/cases/${path}/timeline`)]);
    list.put(item, { hold: true });
    if (detail.item?.id !== id) return;
    if (item.version >= detail.item.version) detail.show(item);
    detail.timeline(id, timeline.items);
  } catch {
    // What is shown stays; the next event of this case asks again.
  }
}

// -- choosing --------------------------------------------------------------------------------------------------------

function choose(id, { open = false } = {}) {
  if (!id) return;
  following = false;
  show(id);
  if (open || matchMedia("(max-width: 900px)").matches) document.body.classList.add("reading");
  draw();
}

function show(id) {
  unread.delete(id);
  list.choose(id);
  if (detail.item?.id !== id) shownAt = performance.now();
  detail.show(list.get(id));
  refresh(id);
}

function follow(fresh) {
  following = true;
  unread.clear();
  const id = list.order[0];
  if (id) {
    show(id);
    if (fresh) shownAt = 0;
  } else {
    list.choose(null);
    detail.show(null);
  }
  list.node.scrollTop = 0;
}

function back() {
  document.body.classList.remove("reading");
  list.node.focus({ preventScroll: true });
}

// -- acting ----------------------------------------------------------------------------------------------------------

async function act(action) {
  const item = detail.item;
  if (!item || asking) return;
  if (following && performance.now() - shownAt < SETTLE_MS) return toast(t("just_changed"), "warn");
  following = false;
  if (!item.allowed.includes(action)) return toast(t("impossible", { state: t(`state.${item.state}`) }), "warn");
  let why = { reason: "", note: "" };
  if (action === "reject") {
    asking = true;
    why = await askReason(`${text(item.title)} · ${place(item)}`);
    asking = false;
    if (!why) return;
  }
  try {
    const path = item.id.split("/").map(encodeURIComponent).join("/");
    const answer = await post(`/v1/cases/${path}/actions`, { action, ...why });
    toast(answer.applied ? `${t(`done.${action}`)} · ${text(item.title)}` : t("sent"));
    list.put(answer.case, { hold: true });
    if (detail.item?.id === item.id && answer.case.version >= detail.item.version) {
      detail.show(answer.case);
      refresh(item.id);
    }
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 401) await logIn();
    else toast(t("failed", { why: error.message }), "bad");
  }
}

// -- drawing ---------------------------------------------------------------------------------------------------------

function draw() {
  const choice = (label, on, press, key) =>
    h("button", { type: "button", "aria-pressed": String(on), "data-filter": key, onclick: press }, label);
  const set = (change) => async () => {
    filter = { ...filter, ...change };
    await fill().catch(() => lost());
  };
  $("filters").replaceChildren(
    choice(t("filter.open"), filter.open, set({ open: true }), "open"),
    choice(t("filter.all"), !filter.open, set({ open: false }), "all"),
    h("span", { class: "gap" }),
    choice(t("filter.scene"), !filter.scene, set({ scene: null }), "scenes"),
    ...scenes.map((scene) => choice(text(scene.title), filter.scene === scene.id, set({ scene: scene.id }), scene.id)));
  $("newer").hidden = unread.size === 0;
  $("newer").textContent = t("newer", { n: unread.size });
  $("older").hidden = !next;
  $("none").hidden = list.order.length > 0;
  $("none").textContent = t(filter.open ? "none.open" : "none");
  document.title = unread.size ? `(${unread.size}) citybrain` : "citybrain";
}

function figures(stats) {
  const closed = (stats.cases.closed ?? 0) + (stats.cases.rejected ?? 0);
  const open = Object.values(stats.cases).reduce((sum, n) => sum + n, 0) - closed;
  const cameras = Object.values(stats.cameras).reduce((sum, n) => sum + n, 0);
  const seconds = (value) => (value === null ? "–" : `${value.toFixed(1)} s`);
  const late = stats.latency.p99_s > 10;
  const shown = [
    ["open", open], ["p50", seconds(stats.latency.p50_s)], ["p99", seconds(stats.latency.p99_s), late],
    ["cameras", `${stats.cameras.live ?? 0}/${cameras}`, (stats.cameras.live ?? 0) < cameras],
  ];
  const refused = stats.configuration_refused_since;
  if (refused) shown.push(["configuration", t("configuration.refused", { at: day(refused) }), true]);
  $("figures").replaceChildren(...shown.map(([name, value, bad]) =>
    h("div", { class: bad ? "bad" : "", "data-figure": name }, h("dt", {}, t(`figure.${name}`)), h("dd", {}, String(value)))));
}

function link(state) {
  $("link").className = `link ${state}`;
  $("link").textContent = state === "lost" ? "" : t(state);
}

function lost() {
  lostAt ??= Date.now();
  document.body.classList.add("cut");
  $("lost").hidden = false;
  $("lost").textContent = t("lost", { at: clock(lostAt) });
  link("lost");
}

function found() {
  link("live");
  if (!lostAt) return;
  document.body.classList.remove("cut");
  $("lost").hidden = true;
  // What was missed comes at once after the connection; a moment later it can be counted.
  setTimeout(() => {
    toast(t("caught_up", { n: missed }));
    lostAt = null;
    missed = 0;
  }, 600);
  look();
}

async function refused(problem) {
  if (problem.status === 401) await logIn();
  // A cursor that the server does not know: its log is another one, so everything is read anew.
  stream.cursor = null;
  await load();
}

let toastTimer = 0;
function toast(said, kind = "") {
  $("toast").textContent = said;
  $("toast").className = `toast ${kind}`;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => ($("toast").hidden = true), 4000);
}

const THEMES = ["auto", "light", "dark"];
function theme(wanted) {
  const chosen = THEMES.includes(wanted) ? wanted : "auto";
  localStorage.setItem("theme", chosen);
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

function nextTheme() {
  const wanted = THEMES[(THEMES.indexOf(localStorage.getItem("theme")) + 1) % THEMES.length];
  theme(wanted);
  toast(t(`theme.${wanted}`));
}

async function otherLanguage() {
  await speak(other());
  $("language").textContent = other() === "zh" ? "中" : "EN";
  list.fill(list.order.map((id) => list.get(id)));
  if (detail.item) {
    list.choose(detail.item.id);
    detail.draw();
  }
  link(lostAt ? "lost" : "live");
  draw();
  await look();
}

// -- keys ------------------------------------------------------------------------------------------------------------

const KEYS = {
  j: () => choose(list.step(1)), ArrowDown: () => choose(list.step(1)),
  k: () => choose(list.step(-1)), ArrowUp: () => choose(list.step(-1)),
  n: () => (follow(false), draw()),
  c: () => act("confirm"), r: () => act("reject"),
  Enter: () => choose(detail.item?.id, { open: true }),
  u: back, Escape: back, l: otherLanguage, t: nextTheme, "?": showHelp,
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, dialog");
  const pressing = event.key === "Enter" && event.target.closest("button, a");
  if (typing || pressing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const doing = KEYS[key];
  if (!doing || (event.repeat && ["c", "r"].includes(key))) return;
  event.preventDefault();
  doing();
});

$("newer").addEventListener("click", () => (follow(false), draw()));
$("older").addEventListener("click", older);
$("language").addEventListener("click", otherLanguage);
$("theme").addEventListener("click", nextTheme);
$("help-button").addEventListener("click", showHelp);
list.node.addEventListener("scroll", () => {
  if (following && list.node.scrollTop > 40) following = false;
});

await start();
$("language").textContent = other() === "zh" ? "中" : "EN";
