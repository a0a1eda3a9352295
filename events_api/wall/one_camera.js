// One camera: its latest picture with its zones, what is known of it, and what an engineer can do; for the table and its own page.

import { ApiProblem, cameraPage, mapPage } from "/wall/api.js";
import { staleness, stateText } from "/wall/health_columns.js";
import { camerasPath, Refresher, showPicture } from "/wall/live.js";
import { isEngineer } from "/wall/person.js";
import { now } from "/wall/time.js";
import { age, day, h, svg, t, text, ticks } from "/wall/words.js";

const SURE_MS = 6000;

export class OneCamera {
  constructor(node, { onaccepted }) {
    Object.assign(this, { node, onaccepted });
    this.item = null;
    this.scenes = [];
    this.refresher = new Refresher({ aSecond: 2, atOnce: 1 });
    this.taken = null;
    this.image = h("img", { class: "shot", alt: "" });
    this.age = ticks(h("p", {}), () => this.old());
    this.facts = h("dl", { class: "facts" });
    this.doing = h("p", { class: "actions" });
  }

  learn(scenes) {
    this.scenes = scenes;
    this.draw();
  }

  show(item) {
    if (this.item) this.refresher.drop(this.image);
    this.item = item;
    this.taken = null;
    this.image.removeAttribute("src");
    if (item) {
      const id = item.id;
      this.refresher.watch(this.image, id, { onpicture: (picture) => this.item?.id === id && this.picture(picture), onnone: () => undefined });
    }
    this.draw();
  }

  // What is known now; the picture and what somebody is about to press stay.
  update(item) {
    if (!item || item.id !== this.item?.id) return;
    this.item = item;
    this.facts.replaceChildren(...factsOf(item, this.scenes));
  }

  picture({ blob, capturedAt }) {
    showPicture(this.image, blob);
    this.taken = capturedAt;
    this.age.textContent = this.old();
  }

  old() {
    return this.taken ? t("camera.taken", { age: age((now() - Date.parse(this.taken)) / 1000) }) : "";
  }

  draw() {
    const { item } = this;
    if (!item) return this.node.replaceChildren(h("p", {}, t("health.choose")));
    this.facts.replaceChildren(...factsOf(item, this.scenes));
    this.doing.replaceChildren(...(isEngineer() ? [acceptView(item, this.onaccepted)] : []));
    return this.node.replaceChildren(
      h("h2", {}, text(item.name) || item.id), this.image, this.age,
      h("nav", {}, h("a", { href: cameraPage(item.id) }, t("camera.page")), h("a", { href: mapPage({ camera: item.id }) }, t("camera.on_map"))),
      this.doing, this.facts);
  }
}

// What the camera shows now is its view: pressed twice, for its zones stay where they are in the picture.
export function acceptView(item, onaccepted) {
  let sure = 0;
  const button = h("button", { type: "button", "data-do": "accept", onclick: async () => {
    if (!sure) {
      sure = setTimeout(() => {
        sure = 0;
        button.textContent = t("camera.accept");
      }, SURE_MS);
      button.textContent = t("camera.accept_sure");
      return;
    }
    clearTimeout(sure);
    sure = 0;
    button.disabled = true;
    try {
      const answer = await fetch(camerasPath(item.id, "/view"), { method: "POST" });
      if (!answer.ok) throw new ApiProblem(answer.status, await answer.json());
      button.textContent = t("camera.accepted");
      onaccepted();
    } catch (error) {
      button.textContent = t("failed", { why: error.message });
    } finally {
      button.disabled = false;
    }
  } }, t("camera.accept"));
  return button;
}

// The scenes that judge something on this camera: by the kinds of its zones, or by the whole view.
export function judging(item, scenes) {
  const kinds = new Set(item.zones.map(({ kind }) => kind));
  return scenes.filter((scene) => scene.status !== "draft" && (scene.zone_kind === "any" || kinds.has(scene.zone_kind)));
}

export function factsOf(item, scenes) {
  const rows = [
    ["health.id", item.id], ["health.state", h("span", { class: `is is-${item.state}` }, stateText(item))],
    ["health.since", item.since && `${day(item.since)} · ${age((now() - Date.parse(item.since)) / 1000)}`],
    ["camera.last_look", item.last_look_at && day(item.last_look_at)],
    ["health.staleness", staleness(item)], ["health.findings", item.findings.map(text).join("; ")],
    ["health.stream", [item.codec, item.width && `${item.width}×${item.height}`, item.through].filter(Boolean).join(" · ")],
    ["health.looks", String(item.counts.looks)], ["health.overtaken", String(item.counts.overtaken)], ["health.lost_looks", String(item.counts.lost_looks)],
    ["health.reconnects", String(item.counts.reconnects)], ["health.strikes", String(item.counts.strikes)],
    ["health.clock", item.clock_ok === null ? "" : t(item.clock_ok ? "health.clock_ok" : "health.clock_off")],
    ["fact.grid", item.grid_cell], ["fact.location", item.location && `${item.location.lon.toFixed(5)}, ${item.location.lat.toFixed(5)}`],
    ["camera.zones", item.zones.map(({ id, kind }) => `${id} (${t(`zone.${kind}`)})`).join(", ")],
    ["camera.scenes", judging(item, scenes).map((scene) => text(scene.title) + (scene.status === "trial" ? ` (${t("trial")})` : "")).join(", ")],
  ];
  return rows.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, t(name)), h("dd", {}, value)]);
}

// The zones over a picture of any size.
export function zonesOver(item) {
  const shapes = item.zones.map(({ kind, polygon }) => svg("polygon", { class: `zone zone-${kind}`, points: polygon.map((point) => point.join(",")).join(" ") }));
  return svg("svg", { class: "zones", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" }, ...shapes);
}
