// What an action has to be told: to whom, until when, why; and the menu of everything that can be done now.

import { day, h, t } from "/wall/words.js";
import { now } from "/wall/time.js";

export const KEYS = { confirm: "C", reject: "R", merge: "M", undo: "Z" };
// What is asked for; "!" must be given. An action that is not named here asks for nothing.
const ASKED = {
  assign: ["unit!", "note"], extend: ["until!", "reason!"], defer: ["until!", "reason!"], return: ["reason!", "note"],
  original: ["reason!"], escalate: ["reason", "note"], verify: ["note"], close: ["reason", "note"], reopen: ["reason!", "note"],
};
const HOURS = [1, 4, 24, 72];

// Resolves to the fields, or null when the operator thought better of it. `units` are those that cases were given to.
export function askFields(action, item, { title, units }) {
  const asked = (ASKED[action] ?? []).map((each) => ({ name: each.replace("!", ""), needed: each.endsWith("!") }));
  if (!asked.length) return Promise.resolve({});
  const dialog = document.getElementById("ask");
  return new Promise((resolve) => {
    const inputs = new Map(asked.map(({ name, needed }) => [name, input(name, { needed, item })]));
    const missing = h("p", { class: "wrong", role: "alert" });
    let answer = null;
    const give = (event) => {
      event.preventDefault();
      const lacking = asked.find(({ name, needed }) => needed && !inputs.get(name).value.trim());
      if (lacking) {
        missing.textContent = t("ask.needs", { what: t(`ask.${lacking.name}`) });
        inputs.get(lacking.name).focus();
        return;
      }
      const given = asked.map(({ name }) => [name, inputs.get(name).value.trim()]).filter(([, value]) => value);
      answer = Object.fromEntries(given.map(([name, value]) => [name, name === "until" ? new Date(value).toISOString() : value]));
      dialog.close();
    };
    const form = h("form", { onsubmit: give, novalidate: true },
      h("h2", { id: "ask-title" }, t(`action.${action}`)), h("p", { class: "of" }, title),
      asked.map(({ name }) => field(name, inputs.get(name), { item, units })), missing,
      h("footer", {}, h("button", { type: "button", onclick: () => dialog.close() }, t("reject.cancel")),
        h("button", { type: "submit", class: "act confirm" }, t(`action.${action}`))));
    shown(dialog, form, () => resolve(answer));
    dialog.onkeydown = (event) => {
      event.stopPropagation();
      const inText = event.target.tagName === "TEXTAREA";
      if (event.key === "Enter" && inText && !event.shiftKey && !event.isComposing) give(event);
    };
    [...inputs.values()][0].focus();
  });
}

// Resolves to an action, or null. Digits choose.
export function askAction(item, { title }) {
  const dialog = document.getElementById("ask");
  const actions = item.allowed.filter((action) => !(action in KEYS));
  return new Promise((resolve) => {
    let answer = null;
    const choose = (action) => {
      answer = action;
      dialog.close();
    };
    const buttons = actions.map((action, index) => h("button", { type: "button", "data-choose": action, onclick: () => choose(action) },
      h("kbd", {}, digit(index)), t(`action.${action}`), h("small", {}, t(`does.${action}`))));
    shown(dialog, h("div", {}, h("h2", { id: "ask-title" }, t("menu.title")), h("p", { class: "of" }, title), h("div", { class: "reasons" }, buttons),
      h("footer", {}, h("small", {}, t("menu.hint")), h("button", { type: "button", onclick: () => dialog.close() }, t("reject.cancel")))), () => resolve(answer));
    dialog.onkeydown = (event) => {
      event.stopPropagation();
      const index = buttons.findIndex((_, at) => digit(at) === event.key);
      if (index >= 0 && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        choose(actions[index]);
      } else walk(event, buttons);
    };
    buttons[0]?.focus();
  });
}

// 1 to 9, then 0: as they lie on the keyboard.
export function digit(index) {
  return index < 10 ? String((index + 1) % 10) : "";
}

// Arrow keys go from one choice to the next.
export function walk(event, buttons) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const at = buttons.indexOf(document.activeElement);
  buttons[(at + by + buttons.length) % buttons.length]?.focus();
}

export function shown(dialog, content, onclose) {
  dialog.onclose = onclose;
  dialog.replaceChildren(content);
  dialog.showModal();
}

function field(name, control, { item, units }) {
  const quick = () => h("div", { class: "quick" }, HOURS.map((hours) =>
    h("button", { type: "button", "data-hours": hours, onclick: () => (control.value = local(inHours(hours, item))) }, t("ask.hours", { n: hours }))));
  return h("div", { class: "field" }, h("label", { for: control.id }, t(`ask.${name}`)), control,
    name === "unit" ? h("datalist", { id: "ask-units" }, units.map((unit) => h("option", { value: unit }))) : null,
    name === "until" ? quick() : null,
    name === "until" && item.due_at ? h("small", {}, t("ask.due", { at: day(item.due_at) })) : null);
}

function input(name, { needed, item }) {
  const common = { id: `ask-${name}`, name, "aria-required": String(needed), autocomplete: "off" };
  if (name === "until") return h("input", { ...common, type: "datetime-local", value: local(inHours(HOURS[1], item)) });
  if (name === "note") return h("textarea", { ...common, rows: "2", maxlength: "500" });
  return h("input", { ...common, type: "text", maxlength: "200", list: name === "unit" ? "ask-units" : null });
}

// From now, or from when it is due if that is later: more time is added to what there is.
function inHours(hours, item) {
  const from = Math.max(now(), item.due_at ? Date.parse(item.due_at) : 0);
  return new Date(from + hours * 3600_000);
}

function local(at) {
  const pad = (n) => String(n).padStart(2, "0");
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}T${pad(at.getHours())}:${pad(at.getMinutes())}`;
}
