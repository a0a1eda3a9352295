// The zone editor: a camera's zones drawn on its latest picture, tried on the last hour, and saved into its configuration.

import { clock, day, h, other, preferred, speak, t, text } from "/wall/words.js";
import { ApiProblem, cameraPage, get } from "/wall/api.js";
import { logIn } from "/wall/dialogs.js";
import { Board } from "/wall/zones_board.js";
import { area, crossing, isFlat, Memory } from "/wall/zones_shape.js";
import { inForce, Refused, rehearse, write } from "/wall/zones_saving.js";

const $ = (id) => document.getElementById(id);
const KINDS = ["no_parking", "roadway", "pavement", "any"];
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const id = new URLSearchParams(location.search).get("camera") ?? "";
const path = `/v1/cameras/${encodeURIComponent(id)}`;

let camera = null;
let revision = "";
let surveyed = new Set();
let memory = new Memory([]);
let saved = "[]";
let busy = false;
let told = null;

const board = new Board($("board"), {
  changed(final, points) {
    if (points) add(points);
    else if (final) memory.put(board.zones);
    draw();
  },
  choose,
  say: (words) => ($("spoken").textContent = words),
  refuse: (words) => state(words, "bad"),
});

async function start() {
  const theme = localStorage.getItem("theme");
  if (theme && theme !== "auto") document.documentElement.dataset.theme = theme;
  await speak(preferred());
  await load();
}

async function load() {
  try {
    camera = await get(path);
    const sheet = await get(`${path}/zones`);
    revision = sheet.revision;
    surveyed = new Set(sheet.zones.filter((each) => each.surveyed).map((each) => each.id));
    $("file").textContent = sheet.file;
    const zones = sheet.zones.map((each) => ({ id: each.id, kind: each.kind, place: each.place ?? "", points: each.polygon }));
    memory = new Memory(zones);
    saved = memory.text;
    board.zones = memory.now;
    board.chosen = zones.length ? 0 : null;
    board.show(`${path}/snapshot.jpg`);
    problem("");
    state("");
    $("faults").replaceChildren();
    draw();
    document.body.dataset.ready = "";
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 401) {
      await logIn();
      return load();
    }
    problem(error instanceof ApiProblem && error.status === 403 ? t("zones.engineer") : t("failed", { why: error.message }));
  }
}

// -- drawing ---------------------------------------------------------------------------------------------------------

function add(points) {
  let n = 1;
  while (board.zones.some((zone) => zone.id === `zone-${n}`)) n += 1;
  board.zones.push({ id: `zone-${n}`, kind: "no_parking", place: "", points });
  board.chosen = board.zones.length - 1;
  memory.put(board.zones);
}

function choose(n) {
  board.chosen = n;
  draw();
}

function change(alter) {
  alter();
  memory.put(board.zones);
  draw();
}

function travel(zones) {
  board.zones = zones;
  if (board.chosen !== null && board.chosen >= zones.length) board.chosen = zones.length ? zones.length - 1 : null;
  draw();
}

// What is wrong with a zone, in words; empty when nothing is.
function wrong(zone, n) {
  const where = crossing(zone.points);
  if (where) return t("zones.crosses", { at: board.words(where) });
  if (isFlat(zone.points)) return t("zones.flat");
  if (!NAME.test(zone.id)) return t("zones.bad_name");
  if (board.zones.some((each, m) => m < n && each.id === zone.id)) return t("zones.twice");
  return "";
}

function draw() {
  board.draw();
  $("camera").textContent = camera ? `${text(camera.name)} · ${camera.id}` : id;
  $("camera").href = cameraPage(id);
  document.title = $("camera").textContent;
  $("language").textContent = other() === "zh" ? "中" : "EN";
  while ($("zones").children.length > board.zones.length) $("zones").lastChild.remove();
  while ($("zones").children.length < board.zones.length) $("zones").append(row($("zones").children.length));
  for (const each of $("zones").children) each.write();
  const faulty = board.zones.some((zone, n) => wrong(zone, n));
  $("undo").disabled = !memory.canUndo || busy;
  $("redo").disabled = !memory.canRedo || busy;
  $("new").textContent = t(board.adding ? "zones.finish" : "zones.new");
  $("preview").disabled = busy || faulty || !camera || Boolean(board.adding);
  $("save").disabled = busy || faulty || !camera || Boolean(board.adding) || JSON.stringify(board.zones) === saved;
  drawTold();
}

// A row is made once and written anew: what is being typed in, and where Tab leads, stays.
function row(n) {
  const of = () => board.zones[n];
  const name = h("input", { maxlength: "63", "data-field": `id-${n}`, spellcheck: "false", autocomplete: "off", onchange: () => change(() => (of().id = name.value.trim())) });
  const kind = h("select", { "data-field": `kind-${n}`, onchange: () => change(() => (of().kind = kind.value)) }, KINDS.map((each) => h("option", { value: each })));
  const place = h("input", { maxlength: "200", "data-field": `place-${n}`, onchange: () => change(() => (of().place = place.value.trim())) });
  const remove = h("button", { type: "button", class: "remove", onclick: () => change(() => take(n)) }, "✕");
  const labels = ["name", "kind", "place"].map((each) => h("span", { "data-word": `zones.${each}` }));
  const size = h("p", {});
  const fault = h("p", { class: "wrong", role: "alert" });
  const node = h("li", { "data-row": n, onfocusin: () => board.chosen !== n && choose(n), onpointerdown: (event) => event.target.closest("input, select, button") || choose(n) },
    h("label", {}, labels[0], name), h("label", {}, labels[1], kind), remove, h("label", { class: "place" }, labels[2], place), size, fault);
  const show = (field, value) => field.value !== value && (field.value = value);
  node.write = () => {
    const zone = of();
    node.className = `zone ${zone.kind}${n === board.chosen ? " chosen" : ""}`;
    for (const each of labels) each.textContent = t(each.dataset.word);
    for (const each of kind.options) each.textContent = t(`zone.${each.value}`);
    show(name, zone.id);
    show(kind, zone.kind);
    show(place, zone.place);
    remove.setAttribute("aria-label", `${t("zones.remove")}: ${zone.id}`);
    size.textContent = [t("zones.size", { n: zone.points.length, share: (area(zone.points) * 100).toFixed(1) }), surveyed.has(zone.id) && t("zones.surveyed")].filter(Boolean).join(" · ");
    const why = wrong(zone, n);
    if (fault.textContent !== why) fault.textContent = why;
  };
  return node;
}

function take(n) {
  board.zones.splice(n, 1);
  board.chosen = board.zones.length ? Math.min(board.chosen ?? 0, board.zones.length - 1) : null;
}

// -- trying ----------------------------------------------------------------------------------------------------------

function drawing() {
  return { zones: board.zones.map((zone) => ({ id: zone.id, kind: zone.kind, polygon: zone.points, ...(zone.place && { place: zone.place }) })) };
}

async function tryOut() {
  await working(t("zones.trying"), async () => {
    told = await rehearse(`${path}/zones/preview`, drawing());
    state("");
  });
}

function drawTold() {
  if (!told) return $("told").replaceChildren();
  const many = (change) => told.cases.filter((each) => each.change === change).length;
  $("told").replaceChildren(
    h("h3", {}, t("zones.told", { since: clock(told.since, false), until: clock(told.until, false) })),
    h("p", { "data-told": "" }, told.looks ? t("zones.counts", { gained: many("gained"), lost: many("lost"), kept: many("kept") }) : t("zones.no_looks")),
    h("ol", {}, [...told.cases].sort((a, b) => (a.change === "kept") - (b.change === "kept")).map((each) => h("li", {}, previewed(each)))));
}

function previewed(each) {
  const show = () => {
    board.seen = each.box;
    board.draw();
  };
  const shown = each.picture ? h("img", { src: `/v1/evidence/${each.picture.split("/").map(encodeURIComponent).join("/")}`, alt: "", loading: "lazy" }) : h("span", { class: "noimage" });
  shown.addEventListener("error", () => shown.replaceWith(h("span", { class: "noimage" })));
  return h("button", { type: "button", class: `case is-${each.change}`, "data-change": each.change, onfocus: show, onpointerenter: show, onclick: show }, shown,
    h("span", { class: "change" }, t(`zones.${each.change}`)), h("span", {}, `${text(each.title)} · ${each.zone}`), h("small", {}, day(each.filed_at)));
}

// -- saving ----------------------------------------------------------------------------------------------------------

async function save() {
  await working(t("zones.saving"), async () => {
    const sheet = await write(`${path}/zones`, drawing(), revision);
    revision = sheet.revision;
    surveyed = new Set(sheet.zones.filter((each) => each.surveyed).map((each) => each.id));
    saved = JSON.stringify(board.zones);
    state(t("zones.written"));
    await inForce(sheet.configuration, (waiting) => state(t("zones.waiting", { who: waiting.join(", ") })));
    state(t("zones.in_force"), "good");
    told = null;
  });
}

async function working(words, work) {
  if (busy) return;
  busy = true;
  $("faults").replaceChildren();
  state(words);
  draw();
  try {
    await work();
  } catch (error) {
    await failed(error);
  } finally {
    busy = false;
    draw();
  }
}

async function failed(error) {
  if (error instanceof Refused) {
    $("faults").replaceChildren(...error.faults.map((each) => h("li", {}, each)));
    return state(t(error.late ? "zones.late" : "zones.refused"), "bad");
  }
  if (!(error instanceof ApiProblem)) return state(t("failed", { why: error.message }), "bad");
  if (error.status === 401) return logIn().then(() => state(t("zones.again")));
  const kind = (error.problem.type ?? "").split("#")[1];
  if (kind === "zones-changed") {
    state(t("zones.changed"), "bad");
    return $("faults").replaceChildren(h("li", {}, h("button", { type: "button", id: "reload", onclick: load }, t("zones.reload"))));
  }
  const faults = error.problem.faults ?? error.problem.errors?.map((each) => each.message) ?? [];
  $("faults").replaceChildren(...faults.map((each) => h("li", {}, each)));
  const known = { "zones-refused": "zones.refused", "rehearsal-busy": "zones.busy", "rehearsal-too-long": "zones.too_long" }[kind];
  return state(known ? t(known) : t("failed", { why: error.message }), "bad");
}

function state(words, kind = "") {
  $("state").textContent = words;
  $("state").className = `state-line ${kind}`;
}

function problem(words) {
  $("problem").textContent = words;
  $("problem").hidden = !words;
}

// -- hands and keys --------------------------------------------------------------------------------------------------

$("undo").addEventListener("click", () => travel(memory.undo()));
$("redo").addEventListener("click", () => travel(memory.redo()));
$("new").addEventListener("click", () => {
  if (board.adding) board.close();
  else board.begin();
  draw();
});
$("preview").addEventListener("click", tryOut);
$("save").addEventListener("click", save);
$("fresh").addEventListener("click", () => board.show(`${path}/snapshot.jpg?at=${Date.now()}`));
$("language").addEventListener("click", async () => {
  await speak(other());
  draw();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && board.adding) {
    board.cancel();
    return draw();
  }
  if (event.key === "Enter" && board.adding && event.target === document.body) board.close();
  const typing = event.target.closest?.("input, select, dialog");
  if (!(event.ctrlKey || event.metaKey) || typing || busy) return;
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey && memory.canUndo) travel(memory.undo());
  else if ((key === "y" || (key === "z" && event.shiftKey)) && memory.canRedo) travel(memory.redo());
  else return;
  event.preventDefault();
});
addEventListener("beforeunload", (event) => JSON.stringify(board.zones) !== saved && event.preventDefault());

await start();
