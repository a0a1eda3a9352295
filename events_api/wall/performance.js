// The periodic report: how units and areas dealt with the cases of a day or a week.

import { get } from "/wall/api.js";
import { again, opened } from "/wall/opened.js";
import { now } from "/wall/time.js";
import { age, h, language, t, text } from "/wall/words.js";

const $ = (id) => document.getElementById(id);
const PERIODS = ["day", "week"];
const KINDS = ["unit", "area", "scene"];
const LEVELS = ["district", "street", "community", "unit", "cell"];
const COUNTS = ["filed", "rejected", "merged", "silenced", "gone_by_itself", "counted", "responded", "handled", "on_time", "late", "overdue", "open", "escalated", "verified", "recurring"];
const RATES = ["response_rate", "handling_rate", "on_time_rate"];
const MEDIANS = ["response_p50_s", "handling_p50_s"];
const POOR = 0.8; // shown in red, and by its weight

const said = new URLSearchParams(location.search);
const one = (name, known) => (known.includes(said.get(name)) ? said.get(name) : known[0]);
const asked = { period: one("period", PERIODS), of: said.get("of") ?? "", by: one("by", KINDS), level: said.get("level") ?? "street" };
let report = null;

function query() {
  return new URLSearchParams(Object.entries(asked).filter(([name, value]) => value && (name !== "level" || asked.by === "area")));
}

async function load() {
  report = await get(`/v1/performance?${query()}`);
  asked.of ||= localDay(report.since);
  draw();
}

// The date there, as the city writes it: its midnight may be another date here.
function localDay(at) {
  return new Date(at).toLocaleDateString("sv-SE", { timeZone: report.timezone });
}

function draw() {
  const until = new Date(Date.parse(report.until) - 1);
  const day = (at) => new Date(at).toLocaleDateString(language === "zh" ? "zh-CN" : "en-GB", { timeZone: report.timezone, dateStyle: "medium" });
  $("title").textContent = report.period === "day" ? t("performance.of_day", { day: day(report.since) })
    : t("performance.of_week", { from: day(report.since), until: day(until) });
  document.title = `${$("title").textContent} · citybrain`;
  $("said").textContent = Date.parse(report.until) > now() ? t("performance.not_over") : "";
  $("csv").href = `/v1/performance.csv?${query()}`;
  $("meaning").textContent = t("performance.meaning");
  history.replaceState(null, "", `${location.pathname}?${query()}`);
  choice();
  const heads = [t(`performance.by.${report.by}`), ...RATES.map((name) => t(`performance.${name}`)), ...MEDIANS.map((name) => t(`performance.${name}`)), ...COUNTS.map((name) => t(`performance.${name}`))];
  $("table").replaceChildren(
    h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, report.rows.map(line)),
    h("tfoot", {}, line(report.total)));
}

function line(row) {
  const share = (value) => h("td", { class: value !== null && value < POOR ? "poor" : "" }, value === null ? "–" : `${(value * 100).toFixed(1)} %`);
  return h("tr", { "data-key": row.key }, h("th", { scope: "row" }, text(row.name) || row.key),
    RATES.map((name) => share(row[name])),
    MEDIANS.map((name) => h("td", {}, row[name] === null ? "–" : age(row[name]))),
    COUNTS.map((name) => h("td", { "data-figure": name }, String(row[name]))));
}

function choice() {
  const select = (name, values) => h("label", {}, t(`performance.choose.${name}`),
    h("select", { name, onchange: (event) => choose({ [name]: event.target.value }) },
      values.map((value) => h("option", { value, selected: asked[name] === value }, t(`performance.${name}.${value}`)))));
  const focused = document.activeElement?.name;
  $("choice").replaceChildren(
    select("period", PERIODS),
    h("label", {}, t("performance.choose.of"), h("input", { type: "date", name: "of", value: asked.of, onchange: (event) => choose({ of: event.target.value }) })),
    select("by", KINDS),
    ...(asked.by === "area" ? [select("level", LEVELS)] : []));
  if (focused) $("choice").querySelector(`[name="${CSS.escape(focused)}"]`)?.focus();
}

async function choose(change) {
  Object.assign(asked, change);
  await again();
}

$("choice").addEventListener("submit", (event) => event.preventDefault());
opened({ load, redraw: draw });
