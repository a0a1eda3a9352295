// Every open case as a point: all of them once, then each change as it comes.

import { ApiProblem, Stream, get } from "/wall/api.js";
import { again, found, lost } from "/wall/opened.js";
import { isOpen } from "/wall/row.js";

const TOGETHER_MS = 120;
const KEPT = ["id", "scene", "title", "severity", "light", "state", "trial", "cameras", "grid_cell", "location", "filed_at", "due_at", "version"];
const GRAVITY = ["low", "normal", "high", "critical"];
const LIGHTS = ["green", "yellow", "red"];

export class OpenCases {
  // `onchange` is told of the ids that changed; null when all is new.
  constructor({ onchange }) {
    this.onchange = onchange;
    this.cases = new Map();
    this.changed = new Set();
    this.stream = new Stream({ onevent: (event) => this.take(event.data), onopen: found, onlost: lost, refused: (problem) => this.refused(problem) });
  }

  async load() {
    const page = await get("/v1/map/cases");
    this.cases = new Map(page.items.map((each) => [each.id, each]));
    this.more = page.more;
    this.onchange(null);
    this.stream.follow(page.as_of);
  }

  take(item) {
    const known = this.cases.get(item.id);
    if (known && known.version >= item.version) return;
    if (!isOpen(item) || item.merged_into) {
      if (!this.cases.delete(item.id)) return;
    } else this.cases.set(item.id, Object.fromEntries(KEPT.map((name) => [name, item[name]])));
    if (!this.changed.size) setTimeout(() => this.tell(), TOGETHER_MS);
    this.changed.add(item.id);
  }

  tell() {
    const ids = this.changed;
    this.changed = new Set();
    this.onchange(ids);
  }

  refused(problem) {
    // A cursor that the server does not know, or a key that is gone: everything is asked for anew.
    this.stream.stop();
    if (problem instanceof ApiProblem) again();
  }

  // The open cases of each camera, the gravest first.
  byCamera() {
    const found = new Map();
    for (const item of this.cases.values()) {
      for (const camera of item.cameras) {
        if (!found.has(camera)) found.set(camera, []);
        found.get(camera).push(item);
      }
    }
    for (const items of found.values()) items.sort(graver);
    return found;
  }
}

// Sorts the case first that somebody should see first.
export function graver(a, b) {
  return gravity(b) - gravity(a) || (a.filed_at < b.filed_at ? 1 : -1);
}

// Of ten thousand the first few, without putting the rest in order.
export function gravest(items, most) {
  const piles = Array.from({ length: GRAVITY.length * LIGHTS.length }, () => []);
  for (const item of items) piles[gravity(item)].push(item);
  const found = [];
  for (const pile of piles.reverse()) {
    if (found.length >= most) break;
    found.push(...pile.sort(graver).slice(0, most - found.length));
  }
  return found;
}

function gravity({ severity, light }) {
  return GRAVITY.indexOf(severity) * LIGHTS.length + LIGHTS.indexOf(light);
}

export function worstLight(items) {
  let worst = 0;
  for (const { light } of items) worst = Math.max(worst, LIGHTS.indexOf(light));
  return LIGHTS[worst];
}
