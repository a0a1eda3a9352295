// One case in full: the picture large, the ten seconds, the facts, what happened, and what can be done.

import { age, clock, day, h, has, t, text, ticks } from "/wall/words.js";
import { clip, download, isClip, latencyBar, latencyText, picture, stages } from "/wall/picture.js";
import { badge, judged, seen, shownEvidence, since, trial } from "/wall/cases.js";

const KEYS = { confirm: "C", reject: "R" };

export class Detail {
  constructor(node, { place, cameraName, onact, onback }) {
    Object.assign(this, { node, place, cameraName, onact, onback });
    this.item = null;
    this.view = 0;
    this.events = [];
    this.player = null;
  }

  show(item) {
    if (this.item?.id !== item?.id) {
      this.view = 0;
      this.events = [];
      this.node.scrollTop = 0;
    }
    this.item = item;
    this.draw();
  }

  timeline(id, events) {
    if (this.item?.id !== id) return;
    this.events = events;
    this.node.querySelector(".timeline")?.replaceWith(this.steps());
  }

  draw() {
    const item = this.item;
    if (!item) {
      this.node.replaceChildren(h("p", { class: "choose" }, t("choose")));
      return;
    }
    const views = [shownEvidence(item), ...item.evidence.filter((each) => each !== shownEvidence(item))].filter(Boolean);
    const shown = views[Math.min(this.view, views.length - 1)];
    const goOn = this.player?.frame.querySelector("video")?.paused === false;
    this.node.dataset.case = item.id;
    this.node.replaceChildren(
      h("header", { class: `severity-${item.severity}` },
        h("button", { type: "button", class: "back", onclick: this.onback, title: t("key.u") }, `‹ ${t("back")}`),
        h("h2", {}, text(item.title), trial(item)),
        h("p", { class: "place" }, this.place(item), item.grid_cell ? ` · ${item.grid_cell}` : null),
        h("p", { class: "state" },
          h("span", { class: "severity" }, has(`severity.${item.severity}`) ? t(`severity.${item.severity}`) : item.severity),
          badge(item), judged(item), seen(item),
          ticks(h("time", { datetime: item.filed_at }), () => since(item.filed_at))),
        this.actions((action) => action in KEYS),
      ),
      h("figure", {}, this.large(shown), this.caption(shown)),
      views.length > 1 ? h("div", { class: "views" }, views.map((each, index) => this.thumb(each, index))) : null,
      this.actions((action) => !(action in KEYS)),
      this.ten(),
      this.facts(),
      this.steps(),
    );
    if (goOn) this.player?.frame.querySelector("video")?.play();
  }

  large(evidence) {
    const label = `${text(this.item.title)}, ${this.place(this.item)}`;
    if (!isClip(evidence)) {
      this.player = null;
      return picture(evidence, { alt: label, eager: true });
    }
    // The case changes while somebody watches: what plays goes on. What could not be played says so in today's language.
    const known = this.player?.ref === evidence.ref && !this.player.frame.classList.contains("empty");
    if (!known) this.player = { ref: evidence.ref, frame: clip(evidence, { label }) };
    return this.player.frame;
  }

  thumb(evidence, index) {
    const press = () => {
      this.view = index;
      this.draw();
    };
    const inside = isClip(evidence)
      ? h("span", { class: "frame play" }, h("b", { "aria-hidden": "true" }, "▶"), h("span", {}, t("clip.seconds", { n: seconds(evidence) })))
      : picture(evidence);
    return h("button", { type: "button", "aria-pressed": String(index === this.view), onclick: press, title: role(evidence) }, inside);
  }

  caption(evidence) {
    if (!evidence) return null;
    const item = this.item;
    if (isClip(evidence)) {
      return h("figcaption", {},
        h("span", {}, `${this.cameraName(evidence.camera)} · ${day(evidence.captured_at)} – ${clock(evidence.until_at)}`),
        h("span", {}, `${role(evidence)} · `, download(evidence)));
    }
    return h("figcaption", {},
      h("span", {}, `${this.cameraName(evidence.camera)} · ${day(evidence.captured_at)}`),
      h("span", {}, `${role(evidence)} · ${item.label} ${(item.confidence * 100).toFixed(0)} %`));
  }

  actions(wanted) {
    const buttons = this.item.allowed.filter(wanted).map((action) =>
      h("button", { type: "button", class: `act ${action}`, "data-action": action, onclick: () => this.onact(action) },
        t(`action.${action}`), KEYS[action] ? h("kbd", {}, KEYS[action]) : null));
    return h("div", { class: "actions" }, buttons);
  }

  ten() {
    const parts = stages(this.item.stamps);
    return h("section", { class: "part tens" },
      h("h3", {}, t("part.ten"), h("span", { class: `latency${this.item.latency_s > 10 ? " over" : ""}` }, latencyText(this.item))),
      latencyBar(this.item),
      h("ul", { class: "legend" }, parts.map((part) =>
        h("li", {}, h("i", { class: `stage-${part.stage}` }), `${t(`stage.${part.stage}`)} `, h("b", {}, `${part.seconds.toFixed(2)} s`)))));
  }

  facts() {
    const item = this.item;
    const at = (instant) => instant && `${day(instant)}`;
    const due = () => {
      const left = (Date.parse(item.due_at) - Date.now()) / 1000;
      return `${day(item.due_at)} · ${left >= 0 ? t("in", { age: age(left) }) : t("overdue", { age: age(-left) })}`;
    };
    const rows = [
      ["camera", item.cameras.map((id) => this.cameraName(id)).join(" · ")],
      ["zone", item.zone], ["grid", item.grid_cell],
      ["location", item.location && `${item.location.lon.toFixed(5)}, ${item.location.lat.toFixed(5)}`],
      ["began", at(item.began_at)],
      ["held", t("held", { observed: age(item.observed_s), assumed: age(item.assumed_s), unseen: age(item.unseen_s) })],
      ["filed", at(item.filed_at)],
      ["due", item.due_at && (["closed", "rejected"].includes(item.state) ? day(item.due_at) : due)],
      ["unit", item.unit], ["number", item.external_id],
      ["reason", item.reason && reasonText(item.reason)],
      ["code", item.code], ["model", item.model], ["again", item.recurrence_of], ["id", item.id],
    ];
    return h("dl", { class: "part facts" }, rows.filter(([, value]) => value).flatMap(([name, value]) => [
      h("dt", {}, t(`fact.${name}`)),
      typeof value === "function" ? ticks(h("dd", { class: `light-${item.light}` }), value) : h("dd", {}, value),
    ]));
  }

  steps() {
    return h("section", { class: "part timeline" }, h("h3", {}, t("part.timeline")),
      h("ol", {}, this.events.map((event) => {
        const { data } = event;
        const filmed = event.cause?.startsWith("filmed-"); // nobody said anything: a clip has come
        const by = filmed ? "" : [data.actor, reasonText(data.reason), data.note].filter(Boolean).join(" · ");
        const kind = filmed ? "filmed" : event.type.replace("citybrain.case.", "");
        return h("li", {}, h("time", { datetime: event.time }, clock(event.time)), h("b", {}, has(`event.${kind}`) ? t(`event.${kind}`) : kind),
          badge(data), by ? h("span", {}, by) : null);
      })));
  }
}

function role(evidence) {
  const key = `evidence.${evidence.role}`;
  return has(key) ? t(key) : evidence.role;
}

function seconds(evidence) {
  return Math.round((Date.parse(evidence.until_at) - Date.parse(evidence.captured_at)) / 1000);
}

function reasonText(reason) {
  return has(`reason.${reason}`) ? t(`reason.${reason}`) : reason;
}
