// The list of cases: newest first, and it never moves what is being read.

import { age, h, t, text, ticks } from "/wall/words.js";
import { isClip, latencyBar, latencyText, picture } from "/wall/picture.js";

export class CaseList {
  constructor(node, { place, onchoose }) {
    this.node = node;
    this.place = place;
    this.onchoose = onchoose;
    this.cases = new Map();
    this.rows = new Map();
    this.order = [];
    this.chosen = null;
  }

  // Everything anew: another filter, another language.
  fill(cases) {
    this.cases = new Map(cases.map((each) => [each.id, each]));
    this.order = cases.map((each) => each.id);
    this.rows = new Map(cases.map((each) => [each.id, this.row(each)]));
    this.node.replaceChildren(...this.order.map((id) => this.rows.get(id)));
    if (!this.cases.has(this.chosen)) this.chosen = null;
    this.mark();
  }

  append(cases) {
    for (const each of cases.filter((found) => !this.cases.has(found.id))) {
      this.cases.set(each.id, each);
      this.order.push(each.id);
      this.rows.set(each.id, this.row(each));
      this.node.append(this.rows.get(each.id));
    }
  }

  // A case as it is now. `hold` keeps what is on the screen where it is when the case is a new one. True when it is new.
  put(item, { hold }) {
    const known = this.cases.get(item.id);
    if (known && known.version >= item.version) return false;
    this.cases.set(item.id, item);
    const row = this.row(item);
    const old = this.rows.get(item.id);
    this.rows.set(item.id, row);
    if (old) {
      const focused = old === document.activeElement;
      old.replaceWith(row);
      if (focused) row.focus();
    } else {
      const key = (id) => [this.cases.get(id).filed_at, id];
      const at = this.order.findIndex((id) => compare(key(id), [item.filed_at, item.id]) < 0);
      const before = at < 0 ? null : this.rows.get(this.order[at]);
      this.order.splice(at < 0 ? this.order.length : at, 0, item.id);
      const anchor = this.anchor();
      const was = anchor?.getBoundingClientRect().top;
      this.node.insertBefore(row, before);
      row.classList.add("fresh");
      if (hold && anchor) this.node.scrollTop += anchor.getBoundingClientRect().top - was;
    }
    this.mark();
    return !old;
  }

  // The rows of these cases anew, where they are.
  redraw(concerns) {
    for (const item of [...this.cases.values()].filter(concerns)) {
      const old = this.rows.get(item.id);
      const row = this.row(item);
      const focused = old === document.activeElement;
      this.rows.set(item.id, row);
      old.replaceWith(row);
      if (focused) row.focus();
    }
    this.mark();
  }

  get(id) {
    return this.cases.get(id);
  }

  // What must not move: the chosen row, or else the first one that can be seen.
  anchor() {
    const chosen = this.rows.get(this.chosen);
    if (chosen?.isConnected) return chosen;
    const top = this.node.getBoundingClientRect().top;
    return [...this.node.children].find((row) => row.getBoundingClientRect().bottom > top) ?? null;
  }

  choose(id, { scroll = true } = {}) {
    this.chosen = id;
    this.mark();
    if (scroll) this.rows.get(id)?.scrollIntoView({ block: "nearest" });
  }

  step(by) {
    const at = this.order.indexOf(this.chosen);
    return this.order[Math.min(this.order.length - 1, Math.max(0, at + by))] ?? null;
  }

  mark() {
    for (const [id, row] of this.rows) row.setAttribute("aria-selected", String(id === this.chosen));
    if (this.chosen) this.node.setAttribute("aria-activedescendant", rowId(this.chosen));
    else this.node.removeAttribute("aria-activedescendant");
  }

  row(item) {
    const open = !["closed", "rejected"].includes(item.state);
    return h("li", {
      id: rowId(item.id), class: `row severity-${item.severity}${open ? "" : " done"}`, role: "option", "data-case": item.id,
      "aria-selected": "false", onclick: () => this.onchoose(item.id),
    },
      picture(shownEvidence(item)),
      h("div", { class: "what" },
        h("p", { class: "title" }, h("span", { class: `light ${item.light}`, title: t(`light.${item.light}`) }), text(item.title), trial(item)),
        h("p", { class: "place" }, this.place(item), h("small", {}, item.grid_cell ?? "")),
        h("p", { class: "state" }, badge(item), judged(item), seen(item)),
      ),
      h("div", { class: "when" },
        ticks(h("time", { datetime: item.filed_at, title: new Date(item.filed_at).toLocaleString() }), () => since(item.filed_at)),
        latencyBar(item),
        h("span", { class: `latency${item.latency_s > 10 ? " over" : ""}` }, latencyText(item)),
      ),
    );
  }
}

export function shownEvidence(item) {
  const pictures = item.evidence.filter((each) => !isClip(each));
  return pictures.findLast?.((each) => each.role === "confirming") ?? pictures.at(-1) ?? null;
}

export function since(at) {
  return t("ago", { age: age((Date.now() - Date.parse(at)) / 1000) });
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

// "We could not look" and "we looked, it is gone" are two things.
export function seen(item) {
  const after = (at) => age((Date.now() - Date.parse(at)) / 1000);
  if (item.unseen_since) return ticks(h("span", { class: "unseen" }), () => t("unseen", { age: after(item.unseen_since) }));
  if (!item.present) {
    const gone = () => (item.cleared_at ? t("gone_since", { age: after(item.cleared_at) }) : t("gone"));
    return ticks(h("span", { class: "gone" }), gone);
  }
  return null;
}

function rowId(id) {
  return `row-${encodeURIComponent(id)}`;
}

function compare(a, b) {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  return a[1] < b[1] ? -1 : Number(a[1] > b[1]);
}
