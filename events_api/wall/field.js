// The page of the person who is sent there: which cases, what to do next, photographs, and what has not been sent yet.

import { age, clock, day, h, other, preferred, speak, svg, t, text } from "/wall/words.js";
import { ApiProblem, casePath, get } from "/wall/api.js";
import { Outbox } from "/wall/field_outbox.js";
import { shrink } from "/wall/field_photo.js";
import { distance, located, position, watch } from "/wall/field_place.js";
import { foreseen, next, possible, STEPS } from "/wall/field_steps.js";
import { askDone, askReturn, enter } from "/wall/field_dialogs.js";

const $ = (id) => document.getElementById(id);
const POLL_MS = 20000;
const MOST = 200;

let who = null;
let cases = stored("field.cases", []);
let chosen = new URLSearchParams(location.search).get("case");
let unit = localStorage.getItem("field.unit") ?? "";
let nearest = localStorage.getItem("field.nearest") === "1";
let draft = { case: null, photos: [] };
let asking = false;
let problem = "";
let names = stored("field.names", {});

const outbox = new Outbox({ changed: draw, sent, key: logIn });

async function start() {
  await speak(preferred());
  draw();
  await outbox.open();
  if (chosen) draft = await outbox.draft(chosen);
  if (nearest) watch(draw);
  await look();
  setInterval(() => document.hidden || look(), POLL_MS);
  addEventListener("online", look);
  addEventListener("offline", draw);
  addEventListener("popstate", () => choose(new URLSearchParams(location.search).get("case"), { push: false }));
  await keepOffline();
}

// -- what there is ---------------------------------------------------------------------------------------------------

async function look() {
  try {
    who ??= await get("/v1/session");
    if (who.unit) unit = who.unit;
    const of = unit ? `&unit=${encodeURIComponent(unit)}` : "";
    const page = await get(`/v1/cases?open=true&limit=${MOST}${of}`);
    const items = page.items;
    if (chosen && !items.some((each) => each.id === chosen)) items.push(await get(casePath(chosen)));
    cases = items;
    outbox.reached = true;
    problem = "";
    keep("field.cases", cases);
    learnNames();
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 401) {
      who = null;
      await logIn();
      return look();
    }
    if (error instanceof ApiProblem && error.status < 500) problem = error.status === 404 ? t("field.no_case") : error.message;
    else outbox.reached = false; // what was seen last is shown, and said to be old
  }
  draw();
}

// What a street is called, by the camera that sees it; it does not change from one minute to the next.
async function learnNames() {
  const unknown = [...new Set(cases.map((each) => each.cameras[0]))].filter((id) => id && !names[id]);
  for (const id of unknown.slice(0, 40)) {
    names[id] = (await get(`/v1/cameras/${encodeURIComponent(id)}`).catch(() => null))?.name;
  }
  if (unknown.length) {
    keep("field.names", names);
    draw();
  }
}

// The last list is kept for a street without a connection.
function stored(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function keep(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    localStorage.removeItem(name); // no room: without a connection the page then begins empty
  }
}

function shown(item) {
  return foreseen(item, outbox.of(item.id));
}

function sent(entry, answer) {
  cases = cases.map((each) => (each.id === entry.case && answer.case.version >= each.version ? answer.case : each));
  keep("field.cases", cases);
  say(t("field.sent", { what: t(`field.${entry.action}`) }));
}

// Once for however many ask at the same time.
let entering = null;
function logIn() {
  entering ??= enter().then((session) => {
    who = session;
    entering = null;
    outbox.send();
  });
  return entering;
}

// -- what is pressed -------------------------------------------------------------------------------------------------

async function act(action) {
  const item = cases.find((each) => each.id === chosen);
  if (!item || asking) return;
  asking = true;
  let answer = { reason: "", note: "" };
  if (action === "return") answer = await askReturn();
  if (action === "verify") answer = await askDone(draft.photos.length);
  asking = false;
  if (!answer) return;
  const photos = action === "verify" || action === "arrive" ? [...draft.photos] : [];
  const entry = await outbox.add({ case: item.id, title: text(item.title), action, ...answer, photos, held: action === "arrive" });
  if (photos.length) {
    draft = { case: chosen, photos: [] };
    await outbox.keepDraft(draft);
  }
  if (action === "arrive") {
    // It is kept already: where the phone is comes with it when the phone says so soon enough.
    const here = await located();
    entry.note = here ? `${here.lat.toFixed(5)},${here.lon.toFixed(5)} ±${Math.round(here.accuracy)} m` : "";
    entry.held = false;
    await outbox.keep(entry);
  }
  draw();
  outbox.send();
}

async function photograph(input) {
  for (const file of input.files) {
    try {
      draft.photos.push(await shrink(file));
    } catch {
      say(t("field.no_picture"), true);
    }
  }
  input.value = "";
  draft.case = chosen;
  await outbox.keepDraft(draft);
  draw();
}

async function choose(id, { push = true } = {}) {
  chosen = id;
  problem = "";
  if (push) history.pushState(null, "", id ? `?case=${encodeURIComponent(id)}` : location.pathname);
  draft = id ? await outbox.draft(id) : { case: null, photos: [] };
  scrollTo(0, 0);
  draw();
  $("title").focus({ preventScroll: true });
  if (id && !cases.some((each) => each.id === id)) await look();
}

// -- drawing ---------------------------------------------------------------------------------------------------------

function draw() {
  $("language").textContent = other() === "zh" ? "中" : "EN";
  $("back").hidden = !chosen;
  $("list").hidden = Boolean(chosen);
  $("case").hidden = !chosen;
  const waiting = outbox.actions.length;
  const cut = !navigator.onLine || !outbox.reached;
  $("network").hidden = !cut && !waiting && outbox.lasting;
  $("network").className = `network${outbox.actions.some((each) => each.state === "refused") ? " bad" : ""}`;
  $("network").textContent = [cut && t("field.offline"), waiting && t("field.waiting", { n: waiting }), !outbox.lasting && t("field.not_lasting")].filter(Boolean).join(" ");
  const item = cases.find((each) => each.id === chosen);
  $("title").textContent = chosen ? (item ? text(item.title) : t("field.case")) : who?.unit || t("field.title");
  document.title = $("title").textContent;
  $("bar").hidden = !item;
  $("taking").hidden = !item;
  if (!chosen) drawList();
  else if (item) drawCase(shown(item));
  else put($("about"), h("p", { class: "none" }, problem || t("connecting")));
}

// What would look the same stays: nothing flickers, and a finger or a screen reader stays where it is.
const drawn = new WeakMap();
function put(node, ...children) {
  const said = children.map((each) => each.outerHTML).join("");
  if (drawn.get(node) === said) return;
  drawn.set(node, said);
  node.replaceChildren(...children);
}

function drawList() {
  const units = [...new Set(cases.map((each) => each.unit).filter(Boolean))].sort();
  $("unit-choice").hidden = Boolean(who?.unit) || (!units.length && !unit);
  put($("unit"), ...["", ...new Set([...units, unit].filter(Boolean))].map((each) => h("option", { value: each, selected: each === unit }, each || t("field.all_units"))));
  $("nearest").setAttribute("aria-pressed", String(nearest));
  const here = position();
  const order = (item) => (nearest && here && item.location ? distance(here, item.location) : Infinity);
  const items = cases.filter((each) => !["closed", "rejected"].includes(each.state)).map(shown)
    .sort((a, b) => order(a) - order(b) || Date.parse(a.due_at ?? a.filed_at) - Date.parse(b.due_at ?? b.filed_at));
  put($("cases"), ...items.map((item) => h("li", {}, card(item, here))));
  $("none").hidden = items.length > 0;
  $("none").textContent = problem || t("none.open");
}

function card(item, here) {
  const picture = item.evidence.find((each) => !each.kind);
  return h("button", { type: "button", class: `card ${item.light}`, "data-case": item.id, onclick: () => choose(item.id) },
    picture ? h("img", { src: address(picture), alt: "", loading: "lazy" }) : h("span", { class: "noimage" }),
    h("b", {}, text(item.title)),
    h("span", { class: "where" }, where(item), here && item.location ? ` · ${metres(distance(here, item.location))}` : ""),
    h("span", { class: `due ${item.light}` }, item.due_at ? `${t("fact.due")} ${due(item)}` : ""),
    h("span", {}, h("span", { class: "chip" }, t(`state.${item.state}`)), pendingChip(item)));
}

function pendingChip(item) {
  const pending = outbox.of(item.id);
  if (!pending.length) return null;
  const refused = pending.some((each) => each.state === "refused");
  return h("span", { class: `chip ${refused ? "refused" : "waiting"}` }, t(refused ? "field.refused" : "field.not_sent"));
}

function drawCase(item) {
  const picture = item.evidence.find((each) => each.role === "confirming") ?? item.evidence.find((each) => !each.kind);
  const closed = !possible(item).length;
  put($("about"), ...[
    ...outbox.of(item.id).map(pendingBox),
    steps(item),
    h("div", { class: "where" }, h("p", {}, where(item)), item.location && h("a", { href: mapLink(item.location) }, `${t("field.map")} ${item.location.lat.toFixed(5)}, ${item.location.lon.toFixed(5)}`)),
    picture && sheet(picture),
    h("dl", { class: "facts" }, ...facts(item)),
    closed && h("p", { class: "over" }, t(`field.over.${item.state === "verifying" ? "verifying" : "other"}`, { state: t(`state.${item.state}`) })),
  ].filter(Boolean));
  $("taking").hidden = closed;
  put($("photos"), ...photos());
  const main = next(item);
  // Two beside it at most, or they are too narrow for a thumb.
  const beside = possible(item).filter((each) => each === "return" || (each === "verify" && main === "arrive"));
  $("bar").hidden = closed;
  put($("bar"), ...beside.map((action) => button(action)), ...(main ? [button(main, "main")] : []));
}

function button(action, kind = "") {
  return h("button", { type: "button", class: kind, "data-action": action, onclick: () => act(action) }, t(`field.${action}`));
}

function pendingBox(entry) {
  const refused = entry.state === "refused";
  const why = !refused ? "" : entry.problem.kind === "impossible-action"
    ? t("field.changed", { state: t(`state.${entry.problem.state}`) })
    : entry.problem.kind === "no-such-case" ? t("field.no_case") : t("failed", { why: entry.problem.detail });
  return h("section", { class: `pending ${entry.state}`, "data-pending": entry.action },
    h("p", {}, h("b", {}, `${t(refused ? "field.refused" : "field.not_sent")}: ${t(`field.${entry.action}`)}`), ` · ${clock(entry.at, false)}`,
      entry.photos.length ? ` · ${t("field.photos", { n: entry.photos.length })}` : ""),
    refused && h("p", {}, why),
    refused && h("div", {}, h("button", { type: "button", "data-again": "", onclick: () => outbox.again(entry) }, t("field.again")),
      h("button", { type: "button", "data-drop": "", onclick: () => drop(entry) }, t("field.drop"))));
}

// The photographs of what was given up stay with the case, for the next attempt.
async function drop(entry) {
  draft = { case: entry.case, photos: [...entry.photos.map(({ ref, ...photo }) => photo), ...draft.photos] };
  await outbox.keepDraft(draft);
  await outbox.drop(entry);
  look();
}

function steps(item) {
  return h("ol", { class: "steps" }, STEPS.map(({ key, at }) => {
    const done = Boolean(item[at]);
    return h("li", { class: done ? "done" : next(item) === key ? "now" : "", "aria-current": next(item) === key ? "step" : null },
      t(`field.step.${key}`), done && h("small", {}, clock(item[at], false)));
  }));
}

function photos() {
  const arrived = cases.find((each) => each.id === chosen)?.arrived_at || outbox.of(chosen).some((each) => each.action === "arrive");
  return draft.photos.map((photo, n) => h("li", {}, h("img", { src: picture(photo), alt: t("field.photo", { n: n + 1 }) }),
    h("small", {}, `${t(arrived ? "field.after" : "field.before")} · ${clock(photo.taken_at, false)}`),
    h("button", { type: "button", "aria-label": t("field.remove"), onclick: () => remove(photo) }, "✕")));
}

const pictures = new WeakMap();
function picture(photo) {
  if (!pictures.has(photo)) pictures.set(photo, URL.createObjectURL(photo.blob));
  return pictures.get(photo);
}

async function remove(photo) {
  draft.photos = draft.photos.filter((each) => each !== photo);
  await outbox.keepDraft(draft);
  draw();
}

function sheet(evidence) {
  const [x1, y1, x2, y2] = evidence.box ?? [0, 0, 0, 0];
  const at = { x: x1, y: y1, width: x2 - x1, height: y2 - y1 };
  return h("div", { class: "sheet" }, h("img", { src: address(evidence), alt: t("field.seen_at", { at: day(evidence.captured_at) }) }),
    evidence.box && svg("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { class: "under", ...at }), svg("rect", at)));
}

function facts(item) {
  return [["fact.filed", day(item.filed_at)], ["fact.due", due(item)], ["fact.unit", item.unit], ["fact.grid", item.grid_cell], ["fact.number", item.external_id], ["fact.reason", item.note]]
    .filter(([, value]) => value).flatMap(([key, value]) => [h("dt", {}, t(key)), h("dd", {}, value)]);
}

function due(item) {
  if (!item.due_at) return "";
  const left = (Date.parse(item.due_at) - Date.now()) / 1000;
  return left >= 0 ? t("in", { age: age(left) }) : t("overdue", { age: age(-left) });
}

function where(item) {
  const camera = names[item.cameras[0]];
  return [camera && text(camera), item.zone].filter(Boolean).join(" · ") || item.grid_cell || item.place;
}

function metres(n) {
  return n < 950 ? `${Math.round(n / 10) * 10} m` : `${(n / 1000).toFixed(1)} km`;
}

// Every phone knows such an address, and opens the map that its owner likes.
function mapLink({ lon, lat }) {
  return `geo:${lat.toFixed(6)},${lon.toFixed(6)}?q=${lat.toFixed(6)},${lon.toFixed(6)}`;
}

function address(evidence) {
  return `/v1/evidence/${evidence.ref.split("/").map(encodeURIComponent).join("/")}`;
}

let saying = 0;
function say(words, bad = false) {
  $("said").textContent = words;
  $("said").className = `said${bad ? " bad" : ""}`;
  $("said").hidden = false;
  clearTimeout(saying);
  saying = setTimeout(() => ($("said").hidden = true), 5000);
}

// -- without a connection --------------------------------------------------------------------------------------------

async function keepOffline() {
  if (!navigator.serviceWorker) return;
  try {
    await navigator.serviceWorker.register("/wall/field_worker.js", { scope: "/wall/field.html" });
    const { active } = await navigator.serviceWorker.ready;
    const files = performance.getEntriesByType("resource").map((each) => new URL(each.name).pathname).filter((path) => path.startsWith("/wall/"));
    active.postMessage({ keep: [...new Set(["/wall/field.html", "/wall/locale/zh.json", "/wall/locale/en.json", ...files])] });
    navigator.serviceWorker.addEventListener("message", (event) => event.data?.kept && (document.body.dataset.offline = "kept"));
  } catch {
    // Without https the browser keeps no page; what was pressed is kept all the same.
  }
}

for (const id of ["take", "pick"]) $(id).addEventListener("change", (event) => photograph(event.target));
$("back").addEventListener("click", () => choose(null));
$("language").addEventListener("click", async () => {
  await speak(other());
  draw();
});
$("unit").addEventListener("change", (event) => {
  unit = event.target.value;
  localStorage.setItem("field.unit", unit);
  look();
});
$("nearest").addEventListener("click", () => {
  nearest = !nearest;
  localStorage.setItem("field.nearest", nearest ? "1" : "0");
  if (nearest) watch(draw, () => say(t("field.no_place"), true));
  draw();
});

await start();
