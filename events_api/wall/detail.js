// One case in full beside the list: the picture large, what can be done, the ten seconds, the facts, what happened.

import { casePage } from "/wall/api.js";
import { clock, day, h, t, text, ticks } from "/wall/words.js";
import { clip, download, isClip, picture } from "/wall/picture.js";
import { badge, countdown, judged, seen, shownEvidence, since, thumbnail, trial } from "/wall/row.js";
import { facts, pair, reports, role, severity, ten, timeline } from "/wall/facts.js";
import { KEYS } from "/wall/forms.js";
import { mayAct } from "/wall/person.js";

export class Detail {
  constructor(node, { place, cameraName, onact, onmenu, onback, onoriginal }) {
    Object.assign(this, { node, place, cameraName, onact, onmenu, onback, onoriginal });
    this.original = null; // {ref, reason} of what is shown without its masks
    this.item = null;
    this.view = 0;
    this.events = [];
    this.player = null;
  }

  show(item) {
    if (this.item?.id !== item?.id) {
      this.view = 0;
      this.events = [];
      this.original = null;
      this.node.scrollTop = 0;
    }
    this.item = item;
    this.draw();
  }

  // Without its masks, for this reason, as long as it is looked at.
  reveal(ref, reason) {
    this.original = { ref, reason };
    this.player = null;
    this.draw();
  }

  timeline(id, events) {
    if (this.item?.id !== id) return;
    this.events = events;
    this.node.querySelector(".timeline")?.replaceWith(timeline(events));
  }

  draw() {
    const item = this.item;
    if (!item) {
      delete this.node.dataset.case;
      this.node.replaceChildren(h("p", { class: "choose" }, t("choose")));
      return;
    }
    const best = shownEvidence(item);
    const views = [best, ...item.evidence.filter((each) => each !== best)].filter(Boolean);
    const shown = views[Math.min(this.view, views.length - 1)];
    const goOn = this.player?.frame.querySelector("video")?.paused === false;
    this.node.dataset.case = item.id;
    const focused = this.focused();
    this.node.replaceChildren(...[
      h("header", { class: `severity-${item.severity}` },
        h("button", { type: "button", class: "back", onclick: this.onback, title: t("key.u") }, `‹ ${t("back")}`),
        h("h2", {}, text(item.title), trial(item)),
        h("p", { class: "place" }, this.place(item), item.grid_cell ? ` · ${item.grid_cell}` : null),
        h("p", { class: "state" }, severity(item), badge(item), judged(item), seen(item),
          ticks(h("time", { datetime: item.filed_at }), () => since(item.filed_at)), countdown(item)),
        this.actions()),
      h("figure", {}, this.large(shown), this.caption(shown)),
      views.length > 1 ? h("div", { class: "views" }, views.map((each, index) => this.thumb(each, index))) : null,
      reports(item), pair(item), this.further(), ten(item), facts(item, this.cameraName), timeline(this.events),
    ].filter(Boolean));
    if (focused) this.node.querySelector(focused)?.focus({ preventScroll: true });
    if (goOn) this.player?.frame.querySelector("video")?.play();
  }

  // A case that changes takes nobody's place away from them: what had the focus has it again.
  focused() {
    const active = document.activeElement;
    if (!this.node.contains(active)) return null;
    if (active.dataset.action) return `[data-action="${active.dataset.action}"]`;
    return active.dataset.view ? `[data-view="${active.dataset.view}"]` : null;
  }

  large(evidence) {
    const label = `${text(this.item.title)}, ${this.place(this.item)}`;
    const original = this.revealed(evidence);
    if (!isClip(evidence)) {
      this.player = null;
      return evidence ? picture(evidence, { alt: label, eager: true, original }) : thumbnail(this.item);
    }
    // The case changes while somebody watches: what plays goes on. What could not be played says so in today's language.
    const known = this.player?.ref === evidence.ref && !this.player.frame.classList.contains("empty");
    if (!known) this.player = { ref: evidence.ref, frame: clip(evidence, { label, original }) };
    return this.player.frame;
  }

  thumb(evidence, index) {
    const press = () => {
      this.view = index;
      this.original = null;
      this.player = null;
      this.draw();
    };
    const inside = isClip(evidence)
      ? h("span", { class: "frame play" }, h("b", { "aria-hidden": "true" }, "▶"), h("span", {}, t("clip.seconds", { n: seconds(evidence) })))
      : picture(evidence);
    const said = `${role(evidence)}, ${day(evidence.captured_at)}`;
    return h("button", { type: "button", "aria-pressed": String(index === this.view), "aria-label": said, "data-view": index, onclick: press, title: role(evidence) }, inside);
  }

  revealed(evidence) {
    return evidence && this.original?.ref === evidence.ref ? this.original.reason : null;
  }

  caption(evidence) {
    if (!evidence) return null;
    const item = this.item;
    const original = this.revealed(evidence) ? h("b", { class: "original" }, ` · ${t("original")}`)
      : mayAct() ? h("button", { type: "button", class: "original", "data-action": "original", onclick: () => this.onoriginal(evidence) }, t("action.original")) : null;
    if (isClip(evidence)) {
      return h("figcaption", {},
        h("span", {}, `${this.cameraName(evidence.camera)} · ${day(evidence.captured_at)} – ${clock(evidence.until_at)}`),
        h("span", {}, `${role(evidence)} · `, download(evidence), original));
    }
    const told = evidence.box ? ` · ${item.label} ${(item.confidence * 100).toFixed(0)} %` : "";
    return h("figcaption", {},
      h("span", {}, [evidence.camera && this.cameraName(evidence.camera), day(evidence.captured_at)].filter(Boolean).join(" · ")),
      h("span", {}, `${role(evidence)}${told}`, original));
  }

  // What one key does.
  actions() {
    if (!mayAct()) return null;
    return h("div", { class: "actions" }, this.item.allowed.filter((action) => action in KEYS).map((action) => this.button(action)));
  }

  // Everything else, and the page of the case.
  further() {
    const rest = mayAct() ? this.item.allowed.filter((action) => !(action in KEYS)) : [];
    return h("div", { class: "actions" },
      rest.length ? h("button", { type: "button", class: "act", "data-action": "menu", onclick: this.onmenu }, t("menu"), h("kbd", {}, "A")) : null,
      rest.map((action) => this.button(action)),
      h("a", { class: "act page", href: casePage(this.item.id) }, t("page"), h("kbd", {}, "P")));
  }

  button(action) {
    return h("button", { type: "button", class: `act ${action}`, "data-action": action, onclick: () => this.onact(action) },
      t(`action.${action}`), KEYS[action] ? h("kbd", {}, KEYS[action]) : null);
  }
}

function seconds(evidence) {
  return Math.round((Date.parse(evidence.until_at) - Date.parse(evidence.captured_at)) / 1000);
}
