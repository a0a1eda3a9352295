// What is drawn on the map, from the ground up: the city's own base layer, the graticule, the outlines of cells, cameras, cases.

import { metre, outline, toDegrees, toWorld } from "/wall/clusters.js";
import { t, text } from "/wall/words.js";

const PRECISE = 2 ** 28; // a canvas reckons in single precision: paths are drawn from an origin of their own, in these parts of the world
const SHAPES = {
  boundary: { stroke: "--faint", width: 1.5, dash: [6, 4] }, green: { fill: "--map-green" }, building: { fill: "--map-building", from: 15 },
  water: { fill: "--map-water", stroke: "--map-water", width: 5 }, street: { stroke: "--map-road", width: 3, from: 12 },
  road: { stroke: "--map-road", width: 6 }, rail: { stroke: "--faint", width: 1.5, dash: [2, 3] }, place: {},
};
const ORDER = Object.keys(SHAPES);
const REACH_M = 60; // how far around its camera a cell is taken to lie
const STEPS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30];
const FONT = 'system-ui, "Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif';

// The colours of the page, read once for each theme.
export class Palette {
  read() {
    const style = getComputedStyle(document.documentElement);
    this.of = (name) => style.getPropertyValue(name).trim();
    const names = ["--ground", "--panel", "--line", "--text", "--soft", "--faint", "--accent", "--good", "--warn", "--bad", ...["road", "water", "green", "building"].map((each) => `--map-${each}`)];
    this.colours = Object.fromEntries(names.map((each) => [each, this.of(each)]));
    return this.colours;
  }
}

// -- the base layer --------------------------------------------------------------------------------------------------

export class Base {
  constructor(collection) {
    this.features = [];
    for (const { geometry, properties } of collection.features) {
      const lines = linesOf(geometry).map((line) => line.map(([lon, lat]) => toWorld(lon, lat)));
      const box = boxOf(lines.flat());
      this.origin ??= [box[0], box[1]];
      this.features.push({ kind: properties.kind, name: properties.name, box, lines, closed: geometry.type.endsWith("Polygon"), path: null });
    }
    this.features.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
    this.box = this.features.length ? boxOf(this.features.flatMap(({ box }) => [[box[0], box[1]], [box[2], box[3]]])) : null;
  }

  draw(context, chart, colours) {
    const seen = chart.seen;
    const shown = this.features.filter(({ kind, box }) => chart.zoom >= (SHAPES[kind].from ?? 0) && meet(box, seen));
    const [left, top] = this.origin ? chart.toScreen(...this.origin) : [0, 0];
    const scale = chart.scale / PRECISE;
    context.save();
    context.translate(left, top);
    context.scale(scale, scale);
    context.lineJoin = context.lineCap = "round";
    const thick = Math.min(2.2, Math.max(0.35, 2 ** ((chart.zoom - 16) / 2)));
    for (const feature of shown) {
      const shape = SHAPES[feature.kind];
      const path = (feature.path ??= this.path(feature));
      if (shape.fill && feature.closed) {
        context.fillStyle = colours[shape.fill];
        context.fill(path, "evenodd");
      }
      if (!shape.stroke || (shape.fill && feature.closed)) continue;
      context.strokeStyle = colours[shape.stroke];
      context.lineWidth = (shape.width * thick) / scale;
      context.setLineDash((shape.dash ?? []).map((each) => each / scale));
      context.stroke(path);
    }
    context.restore();
    return shown.filter((each) => text(each.name));
  }

  path({ lines, closed }) {
    const path = new Path2D();
    for (const line of lines) {
      line.forEach(([x, y], index) => path[index ? "lineTo" : "moveTo"]((x - this.origin[0]) * PRECISE, (y - this.origin[1]) * PRECISE));
      if (closed) path.closePath();
    }
    return path;
  }
}

// Names where there is room: of places where they are, of lines along their longest straight piece.
export function drawNames(context, chart, named, colours, taken) {
  if (chart.zoom < 13) return;
  context.font = `500 12px ${FONT}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 3;
  context.strokeStyle = colours["--ground"];
  context.fillStyle = colours["--soft"];
  for (const { name, lines, closed, box } of named) {
    const said = text(name);
    const [at, turn, room] = closed ? [middle(chart, box), 0, Infinity] : along(chart, lines[0]);
    const wide = context.measureText(said).width;
    if (room < wide || !claim(taken, at, wide / 2 + 4, 9)) continue;
    context.save();
    context.translate(...at);
    context.rotate(turn);
    context.strokeText(said, 0, 0);
    context.fillText(said, 0, 0);
    context.restore();
  }
}

function along(chart, line) {
  if (line.length < 2) return [chart.toScreen(...line[0]), 0, Infinity];
  let best = [[0, 0], 0, 0];
  for (let index = 1; index < line.length; index += 1) {
    const [ax, ay] = chart.toScreen(...line[index - 1]);
    const [bx, by] = chart.toScreen(...line[index]);
    const long = Math.hypot(bx - ax, by - ay);
    const at = [(ax + bx) / 2, (ay + by) / 2];
    if (long <= best[2] || at[0] < 0 || at[1] < 0 || at[0] > chart.width || at[1] > chart.height) continue;
    const turn = Math.atan2(by - ay, bx - ax);
    best = [at, Math.abs(turn) > Math.PI / 2 ? turn + Math.PI : turn, long];
  }
  return best;
}

// -- graticule, scale, north -----------------------------------------------------------------------------------------

export function drawGraticule(context, chart, colours) {
  const [west, north] = toDegrees(chart.seen.slice(0, 2));
  const [east, south] = toDegrees(chart.seen.slice(2));
  const step = STEPS.find((each) => (each / (east - west)) * chart.width > 110) ?? 30;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  context.strokeStyle = colours["--line"];
  context.fillStyle = colours["--faint"];
  context.lineWidth = 1;
  context.font = `11px ${FONT}`;
  context.beginPath();
  const labels = [];
  for (let n = Math.ceil(west / step); n * step <= east; n += 1) {
    const [left] = chart.toScreen(...toWorld(n * step, 0));
    context.moveTo(left, 0);
    context.lineTo(left, chart.height);
    labels.push([`${(n * step).toFixed(digits)}°`, left + 4, chart.height - 6]);
  }
  for (let n = Math.ceil(south / step); n * step <= north; n += 1) {
    const [, top] = chart.toScreen(...toWorld(0, n * step));
    context.moveTo(0, top);
    context.lineTo(chart.width, top);
    labels.push([`${(n * step).toFixed(digits)}°`, 4, top - 4]);
  }
  context.globalAlpha = 0.6;
  context.stroke();
  context.globalAlpha = 1;
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  for (const label of labels) context.fillText(...label);
}

export function drawScale(context, chart, colours) {
  const [, lat] = toDegrees([chart.x, chart.y]);
  const perPixel = 1 / (metre(lat) * chart.scale);
  const most = perPixel * 140;
  const ten = 10 ** Math.floor(Math.log10(most));
  const long = [5, 2, 1].map((each) => each * ten).find((each) => each <= most);
  const wide = long / perPixel;
  const right = chart.width - 16;
  const top = chart.height - 30;
  context.strokeStyle = context.fillStyle = colours["--text"];
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(right - wide, top - 5);
  context.lineTo(right - wide, top);
  context.lineTo(right, top);
  context.lineTo(right, top - 5);
  context.stroke();
  context.font = `600 12px ${FONT}`;
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  context.fillText(long >= 1000 ? `${long / 1000} km` : `${long} m`, right - wide / 2, top - 7);
  // North is up: the plane is never turned.
  context.beginPath();
  context.moveTo(right - 6, 44);
  context.lineTo(right, 22);
  context.lineTo(right + 6, 44);
  context.lineTo(right, 39);
  context.closePath();
  context.fill();
  context.fillText(t("map.north"), right, 17);
}

// -- cells -----------------------------------------------------------------------------------------------------------

// The outline of each area of this level: what lies around its cameras, for nobody has told us its border.
export function outlines(cameras, digits) {
  const cells = new Map();
  for (const each of cameras) {
    if (!each.grid_cell || !each.location) continue;
    const code = each.grid_cell.slice(0, digits);
    if (!cells.has(code)) cells.set(code, []);
    cells.get(code).push(each);
  }
  return [...cells].map(([code, within]) => {
    const points = within.map(({ location }) => toWorld(location.lon, location.lat));
    const shape = outline(points, metre(within[0].location.lat) * REACH_M);
    return { code, shape, box: boxOf(shape), cameras: within.length };
  });
}

// `about` gives {name, light, count} of an area.
export function drawCells(context, chart, cells, colours, about, taken) {
  const seen = chart.seen;
  context.font = `600 12px ${FONT}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const cell of cells) {
    if (!meet(cell.box, seen)) continue;
    const { name, light, count } = about(cell.code);
    context.beginPath();
    cell.shape.forEach((point, index) => context[index ? "lineTo" : "moveTo"](...chart.toScreen(...point)));
    context.closePath();
    const colour = light ? colours[LIGHT[light].colour] : colours["--soft"];
    context.fillStyle = context.strokeStyle = colour;
    context.globalAlpha = 0.08;
    context.fill();
    context.globalAlpha = 0.55;
    context.lineWidth = 1.2;
    context.stroke();
    context.globalAlpha = 1;
    const [left, top] = chart.toScreen(cell.box[0], cell.box[1]);
    const [right] = chart.toScreen(cell.box[2], cell.box[3]);
    const said = count ? `${name} · ${count}` : name;
    const wide = context.measureText(said).width;
    if (wide > right - left + 40 || !claim(taken, [(left + right) / 2, top - 8], wide / 2, 8)) continue;
    context.fillStyle = colours["--soft"];
    context.fillText(said, (left + right) / 2, top - 8);
  }
}

// -- marks -----------------------------------------------------------------------------------------------------------

export const LIGHT = { green: { colour: "--good", shape: "round" }, yellow: { colour: "--warn", shape: "diamond" }, red: { colour: "--bad", shape: "square" } };
const TROUBLE = ["refused", "lost", "unusable"];
const UNSURE = ["stale", "connecting", "unknown"];
export const LIFT = 20; // a case's mark stands so far above its place, so that the camera there is seen, too

export function drawCamera(context, [left, top], cameras, colours, { chosen }) {
  const worst = cameras.some(({ state }) => TROUBLE.includes(state)) ? "--bad" : cameras.some(({ state }) => UNSURE.includes(state)) ? "--warn" : "--good";
  const many = cameras.length > 1;
  const radius = many ? Math.min(15, 8 + Math.log2(cameras.length)) : 5;
  context.beginPath();
  context.arc(left, top, radius, 0, 2 * Math.PI);
  context.fillStyle = many ? colours["--panel"] : colours[worst];
  context.fill();
  context.lineWidth = chosen ? 3.5 : 2;
  context.strokeStyle = chosen ? colours["--accent"] : many ? colours[worst] : colours["--panel"];
  context.stroke();
  if (!many) return;
  context.font = `600 ${cameras.length > 99 ? 10 : 11}px ${FONT}`;
  context.fillStyle = colours["--text"];
  context.fillText(short(cameras.length), left, top + 0.5);
}

export function drawCase(context, [left, bottom], light, count, colours, { critical, chosen }) {
  const { colour, shape } = LIGHT[light];
  const size = count > 1 ? Math.min(17, 11 + Math.log10(count) * 3) : 9;
  const top = bottom - LIFT;
  context.strokeStyle = colours[colour];
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(left, bottom);
  context.lineTo(left, top);
  context.stroke();
  if (critical) {
    context.beginPath();
    context.arc(left, top, size + 5, 0, 2 * Math.PI);
    context.strokeStyle = colours["--bad"];
    context.lineWidth = 2.5;
    context.stroke();
  }
  context.beginPath();
  if (shape === "round") context.arc(left, top, size, 0, 2 * Math.PI);
  else if (shape === "square") context.rect(left - size * 0.9, top - size * 0.9, size * 1.8, size * 1.8);
  else [[0, -1], [1, 0], [0, 1], [-1, 0]].forEach(([x, y], index) => context[index ? "lineTo" : "moveTo"](left + x * size * 1.2, top + y * size * 1.2));
  context.closePath();
  context.fillStyle = colours[colour];
  context.fill();
  context.lineWidth = chosen ? 3.5 : 1.5;
  context.strokeStyle = chosen ? colours["--accent"] : colours["--panel"];
  context.stroke();
  if (count < 2) return;
  context.font = `700 ${count > 99 ? 10 : 12}px ${FONT}`;
  context.fillStyle = colours["--panel"];
  context.fillText(short(count), left, top + 0.5);
}

function short(n) {
  return n < 1000 ? String(n) : `${Math.floor(n / 100) / 10}k`;
}

// -- geometry --------------------------------------------------------------------------------------------------------

function linesOf({ type, coordinates }) {
  if (type === "Point") return [[coordinates]];
  if (type === "LineString") return [coordinates];
  return type === "MultiPolygon" ? coordinates.flat() : coordinates;
}

export function boxOf(points) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  }
  return box;
}

function meet(a, b) {
  return a[0] <= b[2] && a[2] >= b[0] && a[1] <= b[3] && a[3] >= b[1];
}

function middle(chart, box) {
  return chart.toScreen((box[0] + box[2]) / 2, (box[1] + box[3]) / 2);
}

// Room for a name, once for whoever asks first.
function claim(taken, [left, top], halfWide, halfHigh) {
  const box = [left - halfWide, top - halfHigh, left + halfWide, top + halfHigh];
  if (taken.some((each) => meet(each, box))) return false;
  taken.push(box);
  return true;
}
