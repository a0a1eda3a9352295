// The wall: what is new, where, how sure, how late; confirmed or rejected in one key press.

import { Acting } from "/wall/acting.js";
import { ApiProblem, Stream, casePage, casePath, get, stats } from "/wall/api.js";
import { CameraNames, CameraStrip, SHOWN } from "/wall/cameras.js";
import { CaseList } from "/wall/cases.js";
import { Detail } from "/wall/detail.js";
import { askSound, logIn, showHelp } from "/wall/dialogs.js";
import { showFigures } from "/wall/figures.js";
import { Filters } from "/wall/filters.js";
import { meet } from "/wall/person.js";
import { placeOf, waits } from "/wall/row.js";
import { arrive, begin, link, lostSince, nextTheme, otherLanguage } from "/wall/shell.js";
import { Sound } from "/wall/sound.js";
import { now } from "/wall/time.js";
import { t, text } from "/wall/words.js";

const $ = (id) => document.getElementById(id);
const PAGE = 100;
const LOOK_EVERY_MS = 4000;
const TOGETHER_MS = 30; // events that come so close are drawn once
const FOLLOW_EVERY_MS = 300;
const SPEAK_EVERY_MS = 2000;
const SETTLE_MS = 1200; // a key meant for one case must not hit the one that just took its place

const strip = new CameraStrip($("cameras"));
const names = new CameraNames({ onknown: named });
const place = (item) => placeOf(item, names);
const list = new CaseList($("cases"), { place, onchoose: (id) => choose(id), onend: older });
const acting = new Acting($("toast"), { place, units, onanswer: answered });
const detail = new Detail($("detail"), { place, cameraName: (id) => names.name(id), onact: act, onmenu: () => act("menu"), onback: back,
  onoriginal: async (evidence) => {
    const why = await acting.why("original", detail.item);
    if (why) detail.reveal(evidence.ref, why.reason);
  } });
const filters = new Filters($("filters"), $("filter-panel"), { onchange: () => fill().catch(lost) });
const sound = new Sound({ waiting: () => list.order.some((id) => waits(list.get(id))), onchange: drawSound });
const stream = new Stream({ onevent: take, onopen: found, onlost: lost, refused });

let following = true; // the newest case is shown as it comes; ends when someone chooses one
let followedAt = 0;
let shownAt = 0;
let unread = new Set();
let next = null;
let asked = 0; // so many times the list was asked for: an answer to an older question is late
let turning = false;
let lostAt = null;
let missed = 0;

// -- loading ---------------------------------------------------------------------------------------------------------

const load = () => arrive(everything, lost);

async function everything() {
  await meet();
  sound.recall();
  filters.recall();
  await Promise.all([filters.learn().then(() => filters.draw()), fill(), look()]);
}

async function fill() {
  const question = (asked += 1);
  const page = await get(`/v1/cases?${filters.query({ limit: PAGE })}`);
  if (question !== asked) return;
  unread.clear();
  next = page.next;
  list.fill(page.items, { more: Boolean(next) });
  follow();
  shownAt = 0;
  draw();
  if (!stream.source || Number(page.as_of) < Number(stream.cursor)) stream.follow(page.as_of);
}

async function older() {
  if (turning || !next) return;
  turning = true;
  const question = asked;
  try {
    const page = await get(`/v1/cases?${filters.query({ limit: PAGE, cursor: next })}`);
    if (question !== asked) return;
    next = page.next;
    turning = false;
    list.append(page.items, { more: Boolean(next) });
  } catch {
    // Whoever scrolls on asks again.
  } finally {
    turning = false;
  }
}

async function lookAtCameras() {
  const cameras = await get(`/v1/cameras?order=urgency&limit=${SHOWN}`);
  names.learn(cameras.items);
  strip.show(cameras.items, Object.values(cameras.counts).reduce((sum, n) => sum + n, 0));
}

async function look() {
  try {
    const [figures] = await Promise.all([stats(), lookAtCameras()]);
    showFigures($("figures"), figures);
    stream.behind(figures.cursor);
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 401) await logIn();
    // The stream says when the connection is lost; a look that failed is taken again.
  }
}

function named(ids) {
  list.redraw((item) => item.cameras.some((id) => ids.has(id)));
  if (detail.item?.cameras.some((id) => ids.has(id))) detail.draw();
}

// -- events ----------------------------------------------------------------------------------------------------------

let waiting = [];
function take(event) {
  if (lostAt) missed += 1;
  if (!waiting.length) setTimeout(flush, TOGETHER_MS);
  waiting.push(event.data);
}

function flush() {
  const came = waiting;
  waiting = [];
  const fresh = [];
  for (const data of came) {
    const known = list.get(data.id);
    if (!known && !filters.wants(data)) continue;
    const item = { ...data, allowed: allowed(data, known) };
    if (list.put(item, { hold: !following })) fresh.push(item);
    if (detail.item?.id === item.id && item.version > detail.item.version) {
      detail.show(item);
      refresh(item.id);
    }
  }
  if (!fresh.length) return;
  for (const item of fresh) {
    if (!following) unread.add(item.id);
    sound.ring(item.severity);
  }
  announce(fresh);
  if (following) followSoon();
  draw();
}

// Until the case is asked for again: what can be done follows from its state, and the server has the last word.
function allowed(item, known) {
  if (known?.state === item.state && known.allowed.length) return known.allowed;
  return ["closed", "rejected"].includes(item.state) ? ["reopen"] : ["confirm", "reject", "merge"];
}

// A screen reader is told of what came, one sentence each two seconds.
const unspoken = [];
let speaking = 0;
function announce(fresh) {
  unspoken.push(...fresh);
  speaking ||= setTimeout(() => {
    const last = unspoken.at(-1);
    const said = { title: text(last.title), place: place(last), n: unspoken.length };
    $("said").textContent = t(unspoken.length > 1 ? "new_cases" : "new_case", said);
    unspoken.length = speaking = 0;
  }, $("said").textContent ? SPEAK_EVERY_MS : 0);
}

// The shown case and its timeline as the server has them; one question at a time, and the last one counts.
let refreshing = null;
async function refresh(id) {
  const busy = refreshing !== null;
  refreshing = id;
  if (busy) return;
  try {
    const path = casePath(id);
    const [item, events] = await Promise.all([get(path), get(`${path}/timeline`)]);
    list.put(item, { hold: true });
    if (detail.item?.id === id) {
      if (item.version >= detail.item.version) detail.show(item);
      detail.timeline(id, events.items);
    }
  } catch {
    // What is shown stays; the next event of this case asks again.
  } finally {
    const wanted = refreshing;
    refreshing = null;
    if (wanted !== id && detail.item?.id === wanted) refresh(wanted);
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

function follow() {
  following = true;
  followedAt = performance.now();
  unread.clear();
  list.drop((item) => !filters.wants(item)); // what was closed meanwhile stayed where it was being read
  const id = list.order[0];
  list.toTop();
  if (id) show(id);
  else {
    list.choose(null);
    detail.show(null);
  }
  draw();
}

function followSoon() {
  const wait = followedAt + FOLLOW_EVERY_MS - performance.now();
  if (wait <= 0) follow();
  else setTimeout(() => following && list.order[0] !== detail.item?.id && follow(), wait);
}

function back() {
  document.body.classList.remove("reading");
  list.node.focus({ preventScroll: true });
}

// -- acting ----------------------------------------------------------------------------------------------------------

async function act(action) {
  const item = detail.item;
  if (action === "undo") return acting.undo(item);
  if (!item || acting.asking) return;
  if (following && performance.now() - shownAt < SETTLE_MS) return acting.say(t("just_changed"), "warn");
  following = false;
  if (action === "menu") return acting.menu(item);
  return acting.act(action, item);
}

function answered(item) {
  list.put(item, { hold: true });
  if (detail.item?.id === item.id && item.version >= detail.item.version) {
    detail.show(item);
    refresh(item.id);
  }
}

function units() {
  return [...new Set([...list.cases.values()].map((item) => item.unit).filter(Boolean))].sort();
}

// -- drawing ---------------------------------------------------------------------------------------------------------

function draw() {
  $("newer").hidden = unread.size === 0;
  $("newer").textContent = t("newer", { n: unread.size });
  $("none").hidden = list.order.length > 0;
  $("none").textContent = t(filters.wanted.open ? "none.open" : "none");
  document.title = unread.size ? `(${unread.size}) citybrain` : "citybrain";
}

function drawSound() {
  const said = t(`sound.${sound.state}`);
  const button = $("sound");
  if (button.textContent === said) return;
  button.textContent = said;
  button.className = `sound ${sound.state}`;
  button.title = t("key.s");
}

function lost() {
  lostAt ??= now();
  lostSince(lostAt);
}

function found() {
  if (!lostAt) return link("live");
  lostSince(null);
  // What was missed comes at once after the connection; a moment later it can be counted.
  setTimeout(() => {
    acting.say(t("caught_up", { n: missed }));
    lostAt = null;
    missed = 0;
  }, 600);
  return look();
}

async function refused(problem) {
  if (problem.status === 401) await logIn();
  // A cursor that the server does not know: its log is another one, so everything is read anew.
  stream.cursor = null;
  await load();
}

async function speakOther() {
  await otherLanguage();
  list.redraw();
  detail.draw();
  filters.draw();
  drawSound();
  if (lostAt) lostSince(lostAt);
  else link("live");
  draw();
  await look();
}

// -- keys ------------------------------------------------------------------------------------------------------------

const KEYS = {
  j: () => choose(list.step(1)), ArrowDown: () => choose(list.step(1)),
  k: () => choose(list.step(-1)), ArrowUp: () => choose(list.step(-1)),
  n: follow,
  c: () => act("confirm"), r: () => act("reject"), m: () => act("merge"), z: () => act("undo"), a: () => act("menu"),
  Enter: () => choose(detail.item?.id, { open: true }),
  p: () => detail.item && location.assign(casePage(detail.item.id)),
  u: back, Escape: back, f: () => filters.toggle(), "/": () => filters.toggle(true),
  s: () => sound.set({ on: !sound.chosen.on }), l: speakOther, t: () => acting.say(t(`theme.${nextTheme()}`)), "?": showHelp,
};
const ONCE = new Set(["c", "r", "m", "z", "a", "s"]);

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, dialog");
  if (typing && event.key === "Escape" && typing.closest("#filter-panel")) {
    filters.toggle(false);
    list.node.focus({ preventScroll: true });
    return;
  }
  const pressing = event.key === "Enter" && event.target.closest("button, a, summary");
  if (typing || pressing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const doing = KEYS[key];
  if (!doing || (event.repeat && ONCE.has(key))) return;
  event.preventDefault();
  doing();
});

$("newer").addEventListener("click", follow);
$("sound").addEventListener("click", () => askSound(sound));
$("language").addEventListener("click", speakOther);
$("theme").addEventListener("click", KEYS.t);
$("help-button").addEventListener("click", showHelp);
list.node.addEventListener("scroll", () => {
  if (following && list.node.scrollTop > 40) following = false;
});

await begin();
link("connecting");
drawSound();
await load();
setInterval(look, LOOK_EVERY_MS);
