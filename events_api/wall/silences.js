// Silences: those in force, to come and over, with what each holds back; made and ended by whoever may.

import { ApiProblem, casePage, get, post, remove } from "/wall/api.js";
import { each, opened } from "/wall/opened.js";
import { isEngineer, mayAct } from "/wall/person.js";
import { now } from "/wall/time.js";
import { age, day, h, t, text, ticks } from "/wall/words.js";

const $ = (id) => document.getElementById(id);
const STATES = ["active", "pending", "expired"];
const HOURS = [1, 2, 4, 8, 24];
const ENGINEERS_HOURS = [72, 168];
const ASK_EVERY_MS = 5000;

const said = new URLSearchParams(location.search);
let scenes = [];
let areas = [];
let silences = [];
let drawn = "";
let key = newKey();
const unfolded = new Set(); // silences whose cases are shown

async function load() {
  const [found, tree] = await Promise.all([get("/v1/scenes"), get("/v1/areas")]);
  scenes = found.items;
  areas = tree.items;
  await look();
  form();
}

async function look() {
  silences = (await get("/v1/silences")).items;
  list();
}

function redraw() {
  drawn = "";
  form();
  list();
}

// -- the list ----------------------------------------------------------------------------------------------------------

function list() {
  const shown = JSON.stringify(silences);
  if (shown === drawn) return; // what somebody is about to press stays where it is
  drawn = shown;
  const focused = document.activeElement?.dataset?.end;
  const parts = STATES.map((state) => [state, silences.filter((item) => item.state === state)]).filter(([, items]) => items.length);
  $("list").replaceChildren(...(parts.length ? parts.map(([state, items]) => section(state, items)) : [h("p", { class: "nothing" }, t("silences.none"))]));
  if (focused) document.querySelector(`[data-end="${CSS.escape(focused)}"]`)?.focus();
}

function section(state, items) {
  const heading = `silences-${state}`;
  return h("section", { "aria-labelledby": heading }, h("h3", { id: heading }, t(`silences.${state}`)), h("ul", {}, items.map(row)));
}

function row(item) {
  const left = (at) => age((Date.parse(at) - now()) / 1000);
  const when = { active: () => t("silences.left", { age: left(item.until) }), pending: () => t("silences.begins", { age: left(item.since) }), expired: () => "" };
  const mayEnd = mayAct() && item.state !== "expired" && !item.configured;
  return h("li", { class: item.state, "data-silence": item.id },
    h("div", { class: "what" }, about(item)),
    h("div", {}, `${day(item.since)} – ${day(item.until)}`, ticks(h("small", {}), when[item.state])),
    h("div", {}, item.reason, h("small", {}, item.configured ? `${item.author} · ${t("silences.configured")}` : item.author)),
    held(item),
    mayEnd ? h("button", { type: "button", "data-end": item.id, "aria-label": `${t("silences.end")}: ${about(item)}`, onclick: () => end(item) }, t("silences.end")) : h("span"));
}

// How many it has held back; which, when somebody asks.
function held(item) {
  const words = [t("silences.held", { n: item.held }), item.holding ? h("b", {}, ` ${t("silences.holding", { n: item.holding })}`) : ""];
  if (!item.held) return h("div", { class: "held" }, words);
  const cases = h("ol", {});
  const details = h("details", { class: "held", open: unfolded.has(item.id) }, h("summary", {}, words), cases);
  const fill = async () => {
    const { items } = await get(`/v1/cases?${new URLSearchParams({ silence: item.id, limit: 50 })}`);
    cases.replaceChildren(...items.map((each) => h("li", {}, h("a", { href: casePage(each.id) }, `${text(each.title)} · ${each.place}`),
      h("small", {}, `${day(each.filed_at)} · ${t(`state.${each.state}`)}${each.silenced === item.id ? "" : ` · ${t("silences.told")}`}`))));
  };
  details.addEventListener("toggle", () => {
    if (!details.open) return unfolded.delete(item.id);
    unfolded.add(item.id);
    return fill().catch((error) => tell(why(error)));
  });
  return details;
}

// What it is about, in words: scene, camera, area; or everything.
function about(item) {
  const scene = item.scene && (text(scenes.find(({ id }) => id === item.scene)?.title) || item.scene);
  const area = item.grid_cell && (text(areas.find(({ code }) => code === item.grid_cell)?.name) || item.grid_cell);
  return [scene, item.camera, area].filter(Boolean).join(" · ") || t("silences.everything");
}

async function end(item) {
  if (!(await sure(item))) return;
  try {
    await remove(`/v1/silences/${encodeURIComponent(item.id)}`);
    tell("", t("silences.ended", { what: about(item) }));
  } catch (error) {
    tell(why(error));
  }
  await look();
}

// Resolves to whether it is really meant: what was held back is told at once.
function sure(item) {
  const dialog = $("ask");
  return new Promise((resolve) => {
    let answer = false;
    const yes = h("button", { type: "button", class: "act confirm", onclick: () => {
      answer = true;
      dialog.close();
    } }, t("silences.end"));
    dialog.onclose = () => resolve(answer);
    dialog.onkeydown = (event) => event.stopPropagation();
    dialog.replaceChildren(h("h2", { id: "ask-title" }, t("silences.end_sure")), h("p", { class: "of" }, about(item)), h("p", {}, t("silences.end_means", { n: item.holding })),
      h("footer", {}, h("button", { type: "button", onclick: () => dialog.close() }, t("reject.cancel")), yes));
    dialog.showModal();
    yes.focus();
  });
}

// -- making one --------------------------------------------------------------------------------------------------------

function form() {
  const node = $("make");
  node.hidden = !mayAct();
  if (node.hidden) return;
  const written = node.elements.length ? Object.fromEntries(new FormData(node)) : Object.fromEntries(said); // kept over a change of language
  const options = (name, items, none) => h("select", { name }, h("option", { value: "" }, none), items.map(([value, label]) => h("option", { value, selected: written[name] === value }, label)));
  const hours = [...HOURS, ...(isEngineer() ? ENGINEERS_HOURS : [])];
  node.replaceChildren(
    h("label", {}, t("silences.scene"), options("scene", scenes.map((scene) => [scene.id, text(scene.title)]), t("filter.scene"))),
    areas.length
      ? h("label", {}, t("silences.area"), options("grid_cell", areas.map((area) => [area.code, `${"\u2003".repeat(area.depth)}${text(area.name)}`]), t("silences.whole_city")))
      : h("label", {}, t("silences.area"), h("input", { name: "grid_cell", inputmode: "numeric", pattern: "[0-9]{1,15}", value: written.grid_cell ?? "", autocomplete: "off" })),
    h("label", {}, t("silences.camera"), h("input", { name: "camera", maxlength: "200", value: written.camera ?? "", placeholder: t("silences.any_camera"), autocomplete: "off" })),
    h("label", {}, t("silences.since"), h("input", { type: "datetime-local", name: "since", value: written.since ?? "" })),
    h("label", {}, t("silences.for"), h("select", { name: "for" }, hours.map((n) => h("option", { value: `${n}h`, selected: (written.for ?? "2h") === `${n}h` }, n % 24 ? t("age.h", { n }) : t("age.d", { n: n / 24 }))))),
    h("label", { class: "why" }, t("silences.reason"), h("input", { name: "reason", required: true, maxlength: "500", value: written.reason ?? "", autocomplete: "off" })),
    h("button", { type: "submit", class: "act confirm" }, t("silences.make")));
  node.onsubmit = make;
}

// What is asked twice under one key, because no answer came, is one silence.
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function make(event) {
  event.preventDefault();
  const node = event.target;
  const written = Object.entries(Object.fromEntries(new FormData(node))).map(([name, value]) => [name, value.trim()]).filter(([, value]) => value);
  const asked = Object.fromEntries(written.map(([name, value]) => [name, name === "since" ? new Date(value).toISOString() : value]));
  const button = node.querySelector("[type=submit]");
  button.disabled = true;
  try {
    const made = await post("/v1/silences", asked, { "idempotency-key": key });
    key = newKey();
    node.elements.reason.value = "";
    tell("", t("silences.made", { what: about(made) }));
    await look();
  } catch (error) {
    tell(why(error));
  } finally {
    button.disabled = false;
  }
}

function why(error) {
  if (!(error instanceof ApiProblem)) return t("failed", { why: error.message });
  if (error.status === 403) return t("silences.engineer");
  const fields = (error.problem.errors ?? []).map(({ field }) => field).filter((field) => ["scene", "camera", "grid_cell", "until", "reason"].includes(field));
  return fields.length ? t(`silences.wrong.${fields[0]}`) : t("failed", { why: error.message });
}

function tell(wrong, done = "") {
  $("wrong").textContent = wrong;
  $("said").textContent = done;
}

// N goes to where a silence is written.
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "n" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  const first = $("make").elements[0];
  if ($("make").hidden || !first) return;
  event.preventDefault();
  first.focus();
});

await opened({ load, redraw });
each(ASK_EVERY_MS, look);
