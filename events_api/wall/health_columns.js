// The columns of the table of cameras: what each shows, and by what it is sorted.

import { now } from "/wall/time.js";
import { age, h, t, text } from "/wall/words.js";

const URGENCY = ["refused", "lost", "unusable", "stale", "unknown", "connecting", "live"];
const MANY = { reconnects: 20, strikes: 1, overtaken: Infinity };

// {key, cell(camera), by(camera)}; `by` gives what is compared: the first key of a column is the one with the most to say.
export const COLUMNS = [
  { key: "camera", cell: (each) => [text(each.name) || each.id, " ", h("small", {}, each.id)], by: (each) => text(each.name) || each.id },
  { key: "state", cell: (each) => [h("span", { class: `is is-${each.state}` }, stateText(each))], by: (each) => `${URGENCY.indexOf(each.state)} ${text(each.reason)}` },
  { key: "since", cell: (each) => [each.since ? age((now() - Date.parse(each.since)) / 1000) : "–"], by: (each) => (each.since ? -Date.parse(each.since) : -Infinity) },
  { key: "staleness", cell: (each) => [h("span", { class: each.late ? "many" : "" }, staleness(each))], by: (each) => -((each.staleness_s ?? 0) / (each.patience_s || 1)) },
  { key: "findings", cell: (each) => [each.findings.map(text).join("; ") || "–"], by: (each) => -each.findings.length },
  { key: "stream", cell: (each) => [[each.codec, each.width && `${each.width}×${each.height}`, each.through].filter(Boolean).join(" · ") || "–"], by: (each) => `${each.codec ?? "~"} ${String(each.width ?? 0).padStart(6, "0")} ${each.through ?? ""}` },
  ...["reconnects", "strikes", "overtaken"].map((key) => ({ key, cell: (each) => [h("span", { class: each.counts[key] >= MANY[key] ? "many" : "" }, String(each.counts[key]))], by: (each) => -each.counts[key] })),
  { key: "clock", cell: (each) => [h("span", { class: each.clock_ok === false ? "many" : "" }, each.clock_ok === null ? "–" : t(each.clock_ok ? "health.clock_ok" : "health.clock_off"))], by: (each) => (each.clock_ok === false ? 0 : 1) },
];

export function stateText(each) {
  const reason = each.state === "live" ? "" : text(each.reason);
  return t(`camera.${each.state}`) + (reason ? ` · ${reason}` : "");
}

// How long it goes unseen, against how long it may.
export function staleness(each) {
  if (each.staleness_s === null) return "–";
  return `${each.staleness_s.toFixed(1)} / ${each.patience_s === null ? "–" : `${each.patience_s} s`}`;
}

export function sorted(cameras, { column, down }) {
  const { by } = COLUMNS.find(({ key }) => key === column);
  const keyed = cameras.map((each) => [by(each), each]);
  const turn = down ? -1 : 1;
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b || 0);
  return keyed.sort(([a, one], [b, two]) => turn * compare(a, b) || (one.id < two.id ? -1 : 1)).map(([, each]) => each);
}
