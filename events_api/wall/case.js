// The page of one case, for a link and for paper: everything that is known of it, as it becomes known.

import { Acting } from "/wall/acting.js";
import { ApiProblem, Stream, casePath, get, stats } from "/wall/api.js";
import { CameraNames } from "/wall/cameras.js";
import { facts, pair, reports, role, severity, ten, timeline } from "/wall/facts.js";
import { KEYS } from "/wall/forms.js";
import { mayAct, meet } from "/wall/person.js";
import { clip, download, isClip, picture } from "/wall/picture.js";
import { badge, countdown, judged, light, placeOf, seen, since, trial } from "/wall/row.js";
import { arrive, begin, link, lostSince, nextTheme, otherLanguage } from "/wall/shell.js";
import { now } from "/wall/time.js";
import { day, h, t, text, ticks } from "/wall/words.js";

const STAMPS = ["captured", "received", "decoded", "inferred", "confirmed", "filed", "posted", "acknowledged"];
const node = document.getElementById("case");
const id = new URLSearchParams(location.search).get("id") ?? location.pathname.replace(/^\/cases\//, "").split("/").map(decodeURIComponent).join("/");
const names = new CameraNames({ onknown: () => item && draw() });
const place = (each) => placeOf(each, names);
const acting = new Acting(document.getElementById("toast"), { place, units: () => [item?.unit].filter(Boolean), onanswer: () => load() });
const stream = new Stream({
  onevent: (event) => event.data.id === id && load(),
  onopen: () => {
    lostAt = null;
    lostSince(null);
  },
  onlost: lost,
  refused: () => load(),
});

let item = null;
let events = [];
let lostAt = null;

const load = () => arrive(everything, lost);

async function everything() {
  await meet();
  try {
    const [figures, found, known] = await Promise.all([stats(), get(casePath(id)), get(`${casePath(id)}/timeline`)]);
    if (!item || found.version >= item.version) [item, events] = [found, known.items];
    draw();
    if (!stream.source) stream.follow(figures.cursor);
  } catch (error) {
    if (!(error instanceof ApiProblem && error.status === 404)) throw error;
    link("live");
    node.replaceChildren(h("p", { class: "choose" }, t("page.none", { id })));
  }
}

function lost() {
  lostSince((lostAt ??= now()));
}

function draw() {
  document.title = `${text(item.title)} · ${place(item)} · ${item.id}`;
  node.dataset.version = item.version;
  const playing = [...node.querySelectorAll("video")].some((video) => !video.paused);
  const gallery = (playing && node.querySelector(".gallery")) || shots(); // what plays goes on
  node.replaceChildren(...[
    h("header", { class: `severity-${item.severity}` },
      h("h2", {}, light(item), text(item.title), trial(item)),
      h("p", { class: "place" }, place(item), item.grid_cell ? ` · ${item.grid_cell}` : null),
      h("p", { class: "state" }, severity(item), badge(item), judged(item), seen(item),
        ticks(h("time", { datetime: item.filed_at }), () => since(item.filed_at)), countdown(item)),
      mayAct() ? h("div", { class: "actions" }, item.allowed.map(button),
        h("a", { class: "act", href: `${casePath(id)}/evidence.zip`, download: "" }, t("page.export"))) : null),
    pair(item), gallery, reports(item), ten(item), stamps(), facts(item, (camera) => names.name(camera)), timeline(events),
  ].filter(Boolean));
}

function button(action) {
  return h("button", { type: "button", class: `act ${action}`, "data-action": action, onclick: () => acting.act(action, item) },
    t(`action.${action}`), KEYS[action] ? h("kbd", {}, KEYS[action]) : null);
}

function shots() {
  if (!item.evidence.length) return null;
  return h("section", { class: "part gallery" }, h("h3", {}, t("part.evidence", { n: item.evidence.length })),
    h("div", {}, item.evidence.map((each) => h("figure", { class: isClip(each) ? "film" : "" },
      isClip(each) ? clip(each, { label: role(each), autoplay: false }) : picture(each, { alt: `${role(each)}, ${day(each.captured_at)}`, eager: true }),
      h("figcaption", {}, h("b", {}, role(each)), h("span", {}, [each.camera && names.name(each.camera), day(each.captured_at)].filter(Boolean).join(" · ")),
        isClip(each) ? download(each) : null)))));
}

function stamps() {
  const known = STAMPS.filter((name) => item.stamps[name]);
  if (!known.length) return null;
  return h("section", { class: "part stamps" }, h("h3", {}, t("part.stamps")),
    h("table", {}, h("tbody", {}, known.map((name, index) => h("tr", {},
      h("th", { scope: "row" }, t(`stamp.${name}`)), h("td", {}, item.stamps[name]),
      h("td", {}, index ? `+${((Date.parse(item.stamps[name]) - Date.parse(item.stamps[known[index - 1]])) / 1000).toFixed(3)} s` : ""))))));
}

async function speakOther() {
  await otherLanguage();
  if (item) draw();
  if (lostAt) lostSince(lostAt);
  else link("live");
}

const DOING = {
  c: () => acting.act("confirm", item), r: () => acting.act("reject", item), m: () => acting.act("merge", item), z: () => acting.undo(item),
  a: () => acting.menu(item), l: speakOther, t: () => acting.say(t(`theme.${nextTheme()}`)), u: () => location.assign("/"), Escape: () => location.assign("/"),
};
document.addEventListener("keydown", (event) => {
  const elsewhere = event.target.closest("input, textarea, select, dialog, video") || event.ctrlKey || event.metaKey || event.altKey || event.isComposing;
  const doing = DOING[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (elsewhere || !doing || !item || event.repeat) return;
  event.preventDefault();
  doing();
});
document.getElementById("print").addEventListener("click", () => print());
document.getElementById("language").addEventListener("click", speakOther);
document.getElementById("theme").addEventListener("click", DOING.t);

await begin();
link("connecting");
await load();
