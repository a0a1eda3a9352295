// What is known of one case, in pieces: the ten seconds, the facts, what was reported, before and after, what happened when.

import { cameraPage, casePage, mapPage } from "/wall/api.js";
import { age, clock, day, h, has, t, ticks } from "/wall/words.js";
import { now } from "/wall/time.js";
import { badge, isOpen } from "/wall/row.js";
import { isClip, latencyBar, latencyText, picture, stages } from "/wall/picture.js";

export function ten(item) {
  if (!item.cameras.length) return null;
  const parts = stages(item.stamps);
  return h("section", { class: "part tens" },
    h("h3", {}, t("part.ten"), h("span", { class: `latency${item.latency_s > 10 ? " over" : ""}` }, latencyText(item))),
    latencyBar(item),
    h("ul", { class: "legend" }, parts.map((part) =>
      h("li", {}, h("i", { class: `stage-${part.stage}` }), `${t(`stage.${part.stage}`)} `, h("b", {}, `${part.seconds.toFixed(2)} s`)))));
}

export function facts(item, cameraName) {
  const at = (instant) => instant && `${day(instant)}`;
  const due = () => {
    const left = (Date.parse(item.due_at) - now()) / 1000;
    return `${day(item.due_at)} · ${left >= 0 ? t("in", { age: age(left) }) : t("overdue", { age: age(-left) })}`;
  };
  const other = (id) => id && h("a", { href: casePage(id) }, id);
  const rows = [
    ["camera", item.cameras.length && item.cameras.flatMap((id, index) => [index ? " · " : "", h("a", { href: cameraPage(id) }, cameraName(id))])],
    ["zone", item.zone], ["grid", item.grid_cell],
    ["location", item.location && h("a", { href: mapPage({ case: item.id }) }, `${item.location.lon.toFixed(5)}, ${item.location.lat.toFixed(5)}`)],
    ["began", at(item.began_at)],
    ["held", item.cameras.length && t("held", { observed: age(item.observed_s), assumed: age(item.assumed_s), unseen: age(item.unseen_s) })],
    ["filed", at(item.filed_at)], ["warn", isOpen(item) && at(item.warn_at)],
    ["due", item.due_at && (isOpen(item) ? due : day(item.due_at))],
    ["unit", item.unit], ["number", item.external_id],
    ["accepted", at(item.accepted_at)], ["arrived", at(item.arrived_at)], ["done", at(item.done_at)],
    ["verified", at(item.verified_at)], ["closed", at(item.closed_at)],
    ["escalated", item.escalation > 0 && [item.escalated_to, t("levels", { n: item.escalation })].filter(Boolean).join(" · ")],
    ["silenced", item.silenced], ["reason", item.reason && reasonText(item.reason)], ["note", item.note],
    ["code", item.code], ["model", item.model], ["again", other(item.recurrence_of)], ["into", other(item.merged_into)],
    ["id", h("a", { href: casePage(item.id) }, item.id)],
  ];
  return h("dl", { class: "part facts" }, rows.filter(([, value]) => value).flatMap(([name, value]) => [
    h("dt", {}, t(`fact.${name}`)),
    typeof value === "function" ? ticks(h("dd", { class: `light-${item.light}` }), value) : h("dd", {}, value),
  ]));
}

function camera(id, name) {
  return h("a", { href: `/wall/camera.html?${new URLSearchParams({ id })}` }, name);
}

// What others than cameras said of it.
export function reports(item) {
  if (!item.reports?.length) return null;
  return h("section", { class: "part reports" }, h("h3", {}, t("part.reports")),
    h("ol", {}, item.reports.map((each) => h("li", {},
      h("time", { datetime: each.at }, day(each.at)), h("b", {}, t(`origin.${each.origin}`)),
      each.words ? h("q", {}, each.words) : null,
      each.reference ? h("span", {}, each.reference) : null))));
}

// As it was and as it is, side by side, once a camera or somebody there has looked again.
export function pair(item) {
  const pictures = item.evidence.filter((each) => !isClip(each));
  const after = pictures.findLast((each) => each.role === "after") ?? pictures.findLast((each) => each.role === "field");
  const before = pictures.findLast((each) => each.role === "confirming" && (!after || each.camera === after.camera || after.role === "field"));
  if (!before || !after) return null;
  const side = (each, said) => h("figure", {}, picture(each, { alt: said, eager: true }),
    h("figcaption", {}, h("b", {}, said), h("span", {}, day(each.captured_at))));
  return h("section", { class: "part pair" }, h("h3", {}, t("part.pair")),
    h("div", {}, side(before, t("pair.before")), side(after, t("pair.after"))));
}

// Each event with who, why, and what it changed.
export function timeline(events) {
  return h("section", { class: "part timeline" }, h("h3", {}, t("part.timeline")),
    h("ol", {}, events.map((event, index) => {
      const { data } = event;
      const filmed = event.cause?.startsWith("filmed-"); // nobody said anything: a clip has come
      const by = filmed ? "" : [data.actor, reasonText(data.reason), data.note].filter(Boolean).join(" · ");
      const kind = filmed ? "filmed" : event.type.replace("citybrain.case.", "");
      const changed = index ? changes(events[index - 1].data, data) : [];
      return h("li", {}, h("time", { datetime: event.time, title: event.time }, clock(event.time)),
        h("b", {}, has(`event.${kind}`) ? t(`event.${kind}`) : kind),
        badge(data), by ? h("span", {}, by) : null, changed.length ? h("span", { class: "changed" }, changed.join(" · ")) : null);
    })));
}

function changes(before, after) {
  const said = (name, value) => `${t(`fact.${name}`)}: ${value}`;
  const found = [];
  if (after.judged !== before.judged && after.judged) found.push(t(`judged.${after.judged}`));
  if (after.unit !== before.unit && after.unit) found.push(said("unit", after.unit));
  if (after.due_at !== before.due_at && after.due_at) found.push(said("due", day(after.due_at)));
  if (after.light !== before.light) found.push(t(`light.${after.light}`));
  if (after.escalation > before.escalation) found.push(said("escalated", after.escalated_to ?? t("levels", { n: after.escalation })));
  if (after.merged_into && after.merged_into !== before.merged_into) found.push(said("into", after.merged_into));
  for (const step of ["accepted", "arrived", "done", "verified"]) if (after[`${step}_at`] && !before[`${step}_at`]) found.push(t(`fact.${step}`));
  const more = after.evidence.length - before.evidence.length;
  if (more > 0) found.push(t("pictures", { n: more }));
  return found;
}

export function role(evidence) {
  const key = `evidence.${evidence.role}`;
  return has(key) ? t(key) : evidence.role;
}

export function severity(item) {
  return h("span", { class: "severity" }, has(`severity.${item.severity}`) ? t(`severity.${item.severity}`) : item.severity);
}


function reasonText(reason) {
  return has(`reason.${reason}`) ? t(`reason.${reason}`) : reason;
}
