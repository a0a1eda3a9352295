// The list of cases: newest first, it never moves what is being read, and draws only those rows that can be seen.

import { h } from "/wall/words.js";
import { caseRow, rowId } from "/wall/row.js";

const BEYOND = 4; // rows drawn above and below what can be seen
const NEAR_END = 25; // so many rows before the last one the next page is asked for
const FRESH_MS = 2500;

export class CaseList {
  constructor(node, { place, onchoose, onend }) {
    Object.assign(this, { node, place, onchoose, onend });
    this.cases = new Map();
    this.order = [];
    this.rows = new Map(); // those that are drawn
    this.fresh = new Map();
    this.chosen = null;
    this.more = false; // whether the server has older ones
    this.shift = 0; // how far what is being read has to move with what came above it
    this.slack = 0; // room below the last row, so that a short list can move too
    this.frame = 0;
    this.stretch = h("li", { class: "stretch", role: "presentation" });
    this.node.replaceChildren(this.stretch);
    this.measure();
    this.node.addEventListener("scroll", () => this.soon());
    new ResizeObserver(() => {
      this.measure();
      this.soon();
    }).observe(this.node);
  }

  // Everything anew: another filter.
  fill(cases, { more }) {
    this.cases = new Map(cases.map((each) => [each.id, each]));
    this.order = cases.map((each) => each.id);
    this.more = more;
    this.slack = this.shift = 0;
    if (!this.cases.has(this.chosen)) this.chosen = null;
    this.redraw();
  }

  // An older page.
  append(cases, { more }) {
    for (const each of cases) if (!this.cases.has(each.id)) this.insert(each);
    this.more = more;
    this.render();
  }

  // A case as it is now. `hold` keeps what is on the screen where it is when the case is a new one. True when it is new.
  put(item, { hold }) {
    const known = this.cases.get(item.id);
    if (known && known.version >= item.version) return false;
    if (known) {
      this.cases.set(item.id, item);
      this.forget(item.id);
    } else {
      const anchor = hold ? this.anchor() : -1;
      if (this.insert(item) <= anchor) this.shift += this.height;
      this.fresh.set(item.id, performance.now());
    }
    this.soon();
    return !known;
  }

  // What no longer belongs here.
  drop(unwanted) {
    for (const id of this.order.filter((each) => unwanted(this.cases.get(each)))) {
      this.cases.delete(id);
      this.forget(id);
    }
    this.order = this.order.filter((id) => this.cases.has(id));
    this.soon();
  }

  // The rows of these cases anew, where they are.
  redraw(concerns = () => true) {
    for (const id of [...this.rows.keys()]) if (!this.cases.has(id) || concerns(this.cases.get(id))) this.forget(id);
    this.render();
  }

  get(id) {
    return this.cases.get(id);
  }

  choose(id, { scroll = true } = {}) {
    this.rows.get(this.chosen)?.setAttribute("aria-selected", "false");
    this.chosen = id;
    this.rows.get(id)?.setAttribute("aria-selected", "true");
    if (scroll && this.cases.has(id)) this.reveal(this.position(id));
    this.render();
  }

  step(by) {
    const at = this.cases.has(this.chosen) ? this.position(this.chosen) : -1;
    return this.order[Math.min(this.order.length - 1, Math.max(0, at + by))] ?? null;
  }

  // Before the newest is chosen, which draws it.
  toTop() {
    this.slack = this.shift = 0;
    this.node.scrollTop = 0;
  }

  // -- inside --------------------------------------------------------------------------------------------------------

  measure() {
    this.stretch.style.height = "";
    this.height = Math.round(this.stretch.getBoundingClientRect().height) || 1;
    this.node.style.setProperty("--row-px", `${this.height}px`);
    this.stretch.style.height = `${this.order.length * this.height + this.slack}px`;
  }

  insert(item) {
    this.cases.set(item.id, item);
    const at = this.search(item);
    this.order.splice(at, 0, item.id);
    return at;
  }

  position(id) {
    return this.search(this.cases.get(id));
  }

  // Where this case is, or belongs: the first place whose case is not newer.
  search(item) {
    let low = 0;
    let high = this.order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isNewer(this.cases.get(this.order[middle]), item)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // The row that must not move: the chosen one where it can be seen, or else the first one that can.
  anchor() {
    const top = this.node.scrollTop + this.shift;
    const first = Math.floor(top / this.height);
    if (!this.cases.has(this.chosen)) return first;
    const at = this.position(this.chosen);
    return at >= first && at * this.height < top + this.node.clientHeight ? at : first;
  }

  reveal(at) {
    const top = at * this.height;
    this.settle();
    const { scrollTop, clientHeight } = this.node;
    if (top < scrollTop) this.node.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) this.node.scrollTop = top + this.height - clientHeight;
  }

  forget(id) {
    this.rows.get(id)?.remove();
    this.rows.delete(id);
  }

  soon() {
    this.frame ||= requestAnimationFrame(() => this.render());
  }

  render() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.settle();
    const { scrollTop, clientHeight } = this.node;
    const first = Math.max(0, Math.floor(scrollTop / this.height) - BEYOND);
    const last = Math.min(this.order.length, Math.ceil((scrollTop + clientHeight) / this.height) + BEYOND);
    const places = Array.from({ length: Math.max(0, last - first) }, (_, index) => first + index);
    // The chosen row stays drawn wherever it is: a screen reader's cursor is on it.
    const chosen = this.cases.has(this.chosen) ? this.position(this.chosen) : -1;
    if (chosen >= 0 && chosen < first) places.unshift(chosen);
    if (chosen >= last) places.push(chosen);
    const wanted = new Set(places.map((at) => this.order[at]));
    for (const id of [...this.rows.keys()]) if (!wanted.has(id)) this.forget(id);
    places.forEach((at, index) => this.draw(at, index));
    if (chosen >= 0) this.node.setAttribute("aria-activedescendant", rowId(this.chosen));
    else this.node.removeAttribute("aria-activedescendant");
    if (this.more && last > this.order.length - NEAR_END) this.onend();
  }

  // The sheet takes its height, and what is being read stays where it is.
  settle() {
    const full = this.order.length * this.height;
    const wanted = this.node.scrollTop + this.shift;
    const room = this.node.clientHeight;
    this.slack = this.shift || this.slack ? Math.max(0, wanted + room - full) : 0;
    this.stretch.style.height = `${full + this.slack}px`;
    if (this.shift) this.node.scrollTop = wanted;
    this.shift = 0;
  }

  draw(at, index) {
    const item = this.cases.get(this.order[at]);
    let row = this.rows.get(item.id);
    if (!row) {
      row = caseRow(item, { place: this.place, chosen: item.id === this.chosen, onchoose: this.onchoose });
      const came = this.fresh.get(item.id);
      if (came !== undefined && performance.now() - came < FRESH_MS) row.classList.add("fresh");
      this.fresh.delete(item.id);
      this.rows.set(item.id, row);
    }
    row.style.transform = `translateY(${at * this.height}px)`;
    row.setAttribute("aria-posinset", String(at + 1));
    row.setAttribute("aria-setsize", this.more ? "-1" : String(this.order.length)); // -1: nobody knows how many there are
    const there = this.node.children[index + 1]; // after the sheet
    if (there !== row) this.node.insertBefore(row, there ?? null);
  }
}

function isNewer(a, b) {
  return a.filed_at > b.filed_at || (a.filed_at === b.filed_at && a.id > b.id);
}
