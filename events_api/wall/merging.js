// Which other case this one is part of: the open cases of its scene, the nearest first.

import { get } from "/wall/api.js";
import { h, t, text } from "/wall/words.js";
import { digit, shown, walk } from "/wall/forms.js";
import { badge, since, thumbnail } from "/wall/row.js";

const SHOWN = 30;
const EARTH_M = 6371008.8; // mean radius

// Resolves to the id of the other case, or null.
export async function askOther(item, { title, place }) {
  const asked = new URLSearchParams({ scene: item.scene, open: "true", limit: "200" });
  const page = await get(`/v1/cases?${asked}`);
  const others = nearest(item, page.items).slice(0, SHOWN);
  const dialog = document.getElementById("ask");
  return new Promise((resolve) => {
    let answer = null;
    const choose = (id) => {
      answer = id;
      dialog.close();
    };
    const buttons = others.map((other, index) => h("button", { type: "button", "data-other": other.item.id, onclick: () => choose(other.item.id) },
      h("kbd", {}, digit(index)), thumbnail(other.item),
      h("span", {}, h("b", {}, place(other.item)), h("small", {}, [far(other.metres), since(other.item.filed_at)].filter(Boolean).join(" · "), " ", badge(other.item)))));
    shown(dialog, h("div", {}, h("h2", { id: "ask-title" }, t("merge.title")), h("p", { class: "of" }, title),
      others.length ? h("div", { class: "others" }, buttons) : h("p", { class: "wrong" }, t("merge.none", { scene: text(item.title) })),
      h("footer", {}, h("small", {}, others.length ? t("merge.hint") : ""), h("button", { type: "button", onclick: () => dialog.close() }, t("reject.cancel")))), () => resolve(answer));
    dialog.onkeydown = (event) => {
      event.stopPropagation();
      const index = buttons.findIndex((_, at) => digit(at) === event.key);
      if (index >= 0 && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        choose(others[index].item.id);
      } else walk(event, buttons);
    };
    buttons[0]?.focus();
  });
}

// The nearest first; then those of which nobody knows where they are, the newest first, as they came.
export function nearest(item, candidates) {
  return candidates
    .filter((other) => other.id !== item.id)
    .map((other) => ({ item: other, metres: metres(item, other) }))
    .sort((a, b) => (a.metres === b.metres ? 0 : a.metres - b.metres));
}

function metres(a, b) {
  if (a.cameras.some((camera) => b.cameras.includes(camera))) return 0;
  if (!a.location || !b.location) return Infinity;
  const radians = (degrees) => (degrees * Math.PI) / 180;
  const east = radians(b.location.lon - a.location.lon) * Math.cos(radians((a.location.lat + b.location.lat) / 2));
  return EARTH_M * Math.hypot(east, radians(b.location.lat - a.location.lat));
}

function far(metres) {
  if (!Number.isFinite(metres)) return "";
  if (metres < 1) return t("merge.here");
  return metres < 1000 ? t("merge.m", { n: Math.round(metres) }) : t("merge.km", { n: (metres / 1000).toFixed(1) });
}
