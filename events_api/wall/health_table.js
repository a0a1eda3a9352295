// A table of thousands of lines of which those in sight are drawn; the order stays until somebody asks for another.

import { COLUMNS } from "/wall/health_columns.js";
import { h, t } from "/wall/words.js";

const LINE_REM = 2.5;
const SPARE = 6;

export class Table {
  constructor(heads, rows, { onsort, onchoose }) {
    Object.assign(this, { heads, rows, onsort, onchoose });
    this.items = [];
    this.drawn = new Map();
    this.chosen = null;
    this.length = h("div", { "aria-hidden": "true" });
    this.length.style.width = "1px";
    this.rows.append(this.length);
    this.rows.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.rows);
    this.rows.addEventListener("keydown", (event) => this.key(event));
  }

  get line() {
    return LINE_REM * parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  // The cameras in this order; what is in sight stays where it is.
  show(items, sort) {
    this.items = items;
    this.heads.replaceChildren(...COLUMNS.map(({ key }) => h("div", { role: "columnheader", "aria-sort": sort.column === key ? (sort.down ? "descending" : "ascending") : "none" },
      h("button", { type: "button", "data-sort": key, onclick: () => this.onsort(key) }, t(`health.${key}`)))));
    this.rows.parentElement.setAttribute("aria-rowcount", String(items.length + 1));
    this.length.style.height = `${items.length * this.line}px`;
    this.clear();
    this.draw();
  }

  // The ids that can be seen now, for what is asked for next.
  inSight() {
    return [...this.drawn.keys()];
  }

  // These cameras are another; the lines stay where they are.
  update(found) {
    this.items = this.items.map((each) => found.get(each.id) ?? each);
    for (const [id, { index }] of this.drawn) if (found.has(id)) this.put(index);
  }

  choose(id) {
    this.chosen = id;
    for (const [each, { node }] of this.drawn) mark(node, each === id);
  }

  clear() {
    for (const { node } of this.drawn.values()) node.remove();
    this.drawn.clear();
  }

  draw() {
    const { line } = this;
    const first = Math.max(0, Math.floor(this.rows.scrollTop / line) - SPARE);
    const last = Math.min(this.items.length, Math.ceil((this.rows.scrollTop + this.rows.clientHeight) / line) + SPARE);
    for (const [id, { index, node }] of this.drawn) {
      if (index >= first && index < last && this.items[index]?.id === id) continue;
      node.remove();
      this.drawn.delete(id);
    }
    for (let index = first; index < last; index += 1) if (!this.drawn.has(this.items[index].id)) this.put(index);
  }

  put(index) {
    const item = this.items[index];
    const node = h("div", {
      class: "line", role: "row", id: `line-${item.id}`, "data-camera": item.id,
      "aria-rowindex": String(index + 2), onclick: () => this.onchoose(item.id),
    }, COLUMNS.map(({ cell }) => h("div", { role: "cell" }, cell(item))));
    mark(node, item.id === this.chosen);
    node.style.top = `${index * this.line}px`;
    const before = this.drawn.get(item.id)?.node;
    if (before) before.replaceWith(node);
    else this.rows.append(node);
    this.drawn.set(item.id, { index, node });
  }

  key(event) {
    const at = this.items.findIndex(({ id }) => id === this.chosen);
    const page = Math.max(1, Math.floor(this.rows.clientHeight / this.line) - 1);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.items.length - 1 }[event.key];
    if (to === undefined || !this.items.length) return;
    event.preventDefault();
    const index = Math.min(this.items.length - 1, Math.max(0, to));
    const { line } = this;
    if (index * line < this.rows.scrollTop) this.rows.scrollTop = index * line;
    else if ((index + 1) * line > this.rows.scrollTop + this.rows.clientHeight) this.rows.scrollTop = (index + 1) * line - this.rows.clientHeight;
    this.draw();
    this.onchoose(this.items[index].id);
  }
}

function mark(node, chosen) {
  node.classList.toggle("chosen", chosen);
  if (chosen) node.setAttribute("aria-current", "true");
  else node.removeAttribute("aria-current");
}
