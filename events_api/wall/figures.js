// The figures of the day at the top: open cases, how late they come, cameras; a configuration that was refused, and what is missing.

import { day, h, t } from "/wall/words.js";

const TEN_S = 10;

export function showFigures(node, stats) {
  const closed = (stats.cases.closed ?? 0) + (stats.cases.rejected ?? 0);
  const open = Object.values(stats.cases).reduce((sum, n) => sum + n, 0) - closed;
  const cameras = Object.values(stats.cameras).reduce((sum, n) => sum + n, 0);
  const seconds = (value) => (value === null ? "–" : `${value.toFixed(1)} s`);
  const shown = [
    ["open", open], ["p50", seconds(stats.latency.p50_s)], ["p99", seconds(stats.latency.p99_s), stats.latency.p99_s > TEN_S],
    ["cameras", `${stats.cameras.live ?? 0}/${cameras}`, (stats.cameras.live ?? 0) < cameras],
  ];
  const refused = stats.configuration_refused_since;
  if (refused) shown.push(["configuration", t("configuration.refused", { at: day(refused) }), true]);
  for (const { what, since } of stats.degraded ?? []) shown.push([`without_${what}`, t(`without.${what}`, { at: day(since) }), true]);
  node.replaceChildren(...shown.map(([name, value, bad]) =>
    h("div", { class: bad ? "bad" : "", "data-figure": name }, h("dt", {}, t(`figure.${name}`)), h("dd", {}, String(value)))));
}
