// One case as a row of the list, and the pieces that row, detail, case page and kiosk share.

import { now } from "/wall/time.js";
import { age, h, t, text, ticks } from "/wall/words.js";
import { isClip, latencyBar, latencyText, picture } from "/wall/picture.js";

export const JUDGE_WITHIN_S = 30; // the city's rule: a fire is verified by a person within thirty seconds

export function caseRow(item, { place, chosen, onchoose }) {
  return h("li", {
    id: rowId(item.id), class: `row severity-${item.severity}${isOpen(item) ? "" : " done"}`, role: "option", "data-case": item.id,
    "aria-selected": String(chosen), onclick: () => onchoose(item.id),
  },
    thumbnail(item),
    h("div", { class: "what" },
      h("p", { class: "title" }, light(item), text(item.title), trial(item)),
      h("p", { class: "place" }, place(item), h("small", {}, item.grid_cell ?? "")),
      h("p", { class: "state" }, badge(item), judged(item), seen(item), again(item), silent(item)),
    ),
    h("div", { class: "when" },
      ticks(h("time", { datetime: item.filed_at, title: new Date(item.filed_at).toLocaleString() }), () => since(item.filed_at)),
      countdown(item),
      item.cameras.length ? latencyBar(item) : null,
      h("span", { class: `latency${item.latency_s > 10 ? " over" : ""}` }, latencyText(item)),
    ),
  );
}

export function rowId(id) {
  return `row-${encodeURIComponent(id)}`;
}

export function isOpen(item) {
  return !["closed", "rejected"].includes(item.state);
}

// The picture that shows it best; of a case that no camera sees, what was said.
export function thumbnail(item, options = {}) {
  const shown = shownEvidence(item);
  if (shown || !item.reports?.length) return picture(shown, options);
  return h("div", { class: "frame said" }, h("b", {}, t(`origin.${item.origin}`)), h("q", {}, item.reports.at(-1).words || "…"));
}

export function shownEvidence(item) {
  const pictures = item.evidence.filter((each) => !isClip(each));
  return pictures.findLast?.((each) => each.role === "confirming") ?? pictures.at(-1) ?? null;
}

export function placeOf(item, names) {
  const zone = item.zone && item.zone !== "view" ? ` · ${item.zone}` : "";
  const more = item.cameras.length > 1 ? ` · ${t("merged", { n: item.cameras.length })}` : "";
  if (item.cameras.length) return `${names.name(item.cameras[0])}${zone}${more}`;
  const where = item.location && `${item.location.lon.toFixed(4)}, ${item.location.lat.toFixed(4)}`;
  return [t(`origin.${item.origin}`), where].filter(Boolean).join(" · ");
}

export function light(item) {
  const said = t(`light.${item.light}`);
  return h("span", { class: `light ${item.light}`, role: "img", "aria-label": said, title: said });
}

export function since(at) {
  return t("ago", { age: age((now() - Date.parse(at)) / 1000) });
}

export function badge(item) {
  return h("span", { class: `badge state-${item.state}` }, t(`state.${item.state}`));
}

export function judged(item) {
  if (!item.judged || item.judged === item.state) return null;
  return h("span", { class: `judged ${item.judged}` }, t(`judged.${item.judged}`));
}

export function trial(item) {
  return item.trial ? h("span", { class: "trial" }, t("trial")) : null;
}

function again(item) {
  return item.recurrence_of ? h("span", { class: "again" }, t("recurrence")) : null;
}

// Filed and shown, and nobody was told.
function silent(item) {
  return item.silenced ? h("span", { class: "silent" }, t("silenced")) : null;
}

// "We could not look" and "we looked, it is gone" are two things.
export function seen(item) {
  const after = (at) => age((now() - Date.parse(at)) / 1000);
  if (item.unseen_since) return ticks(h("span", { class: "unseen" }), () => t("unseen", { age: after(item.unseen_since) }));
  if (!item.present) {
    const gone = () => (item.cleared_at ? t("gone_since", { age: after(item.cleared_at) }) : t("gone"));
    return ticks(h("span", { class: "gone" }), gone);
  }
  return null;
}

// What waits for somebody to judge it: a critical case (fire, as it ships) that nobody has confirmed or rejected.
export function waits(item) {
  return item.severity === "critical" && !item.judged && !item.trial && isOpen(item);
}

// Thirty seconds by the server's clock; then red, and counting on.
export function countdown(item) {
  if (!waits(item)) return null;
  const node = h("b", { class: "countdown", role: "timer" });
  return ticks(node, () => {
    const waited = Math.max(0, (now() - Date.parse(item.filed_at)) / 1000);
    const late = waited >= JUDGE_WITHIN_S;
    node.classList.toggle("late", late);
    return late ? t("judge.late", { age: minutes(waited) }) : t("judge.within", { s: Math.ceil(JUDGE_WITHIN_S - waited) });
  });
}

function minutes(seconds) {
  const s = Math.floor(seconds);
  if (s >= 3600) return age(s);
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}
