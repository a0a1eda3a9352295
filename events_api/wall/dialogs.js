// What the wall asks: a reason, a key, which sounds; and what it answers to "?".

import { h, t } from "/wall/words.js";
import { ApiProblem, post } from "/wall/api.js";
import { SEVERITIES } from "/wall/sound.js";

export const REASONS = ["not_there", "wrong_kind", "permitted", "duplicate", "bad_picture", "other"];
const HELP = ["j", "k", "n", "c", "r", "m", "z", "a", "Enter", "p", "u", "f", "/", "s", "l", "t", "?"];
const SPOKEN = { j: "J ↓", k: "K ↑", u: "U Esc" };

// Resolves to {reason, note}, or null when the operator thought better of it.
export function askReason(title) {
  const dialog = document.getElementById("reject");
  return new Promise((resolve) => {
    const note = h("textarea", { id: "reject-note", rows: "2", maxlength: "500", "aria-label": t("reject.note"), placeholder: t("reject.note") });
    const missing = h("p", { class: "wrong", role: "alert" });
    let answer = null;
    const give = (reason) => {
      if (reason === "other" && !note.value.trim()) {
        missing.textContent = t("reject.other_needs");
        note.focus();
        return;
      }
      answer = { reason, note: note.value.trim() };
      dialog.close();
    };
    const buttons = REASONS.map((reason, index) =>
      h("button", { type: "button", "data-reason": reason, onclick: () => give(reason) }, h("kbd", {}, String(index + 1)), t(`reason.${reason}`)));
    dialog.onkeydown = (event) => {
      event.stopPropagation();
      const reason = REASONS[Number(event.key) - 1];
      if (document.activeElement === note) {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          give("other");
        }
      } else if (reason && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        give(reason);
      }
    };
    dialog.onclose = () => resolve(answer);
    dialog.replaceChildren(
      h("h2", { id: "reject-title" }, t("reject.title")), h("p", { class: "of" }, title),
      h("div", { class: "reasons" }, buttons), note, missing,
      h("footer", {}, h("small", {}, t("reject.hint")), h("button", { type: "button", onclick: () => dialog.close() }, t("reject.cancel"))));
    dialog.showModal();
    buttons[0].focus();
  });
}

export function showHelp() {
  const dialog = document.getElementById("help");
  dialog.replaceChildren(
    h("h2", { id: "help-title" }, t("help.title")),
    h("dl", {}, HELP.flatMap((key) => [h("dt", {}, (SPOKEN[key] ?? (key.length === 1 ? key.toUpperCase() : key)).split(" ").map((each) => h("kbd", {}, each))), h("dd", {}, t(`key.${key}`))])),
    h("footer", {}, h("button", { type: "button", onclick: () => dialog.close() }, t("help.close"))));
  dialog.onkeydown = (event) => event.stopPropagation();
  if (!dialog.open) dialog.showModal();
}

export function askSound(sound) {
  const dialog = document.getElementById("help");
  const box = (name, label) => {
    const check = h("input", { type: "checkbox", checked: sound.chosen[name], "data-sound": name, onchange: () => sound.set({ [name]: check.checked }) });
    return h("label", { class: "check" }, check, label);
  };
  const volume = h("input", { type: "range", min: "0.05", max: "1", step: "0.05", value: sound.chosen.volume, "data-sound": "volume",
    onchange: () => sound.set({ volume: Number(volume.value) }) });
  dialog.replaceChildren(
    h("h2", { id: "help-title" }, t("sound.title")), h("p", { class: "of" }, t("sound.how")),
    box("on", t("sound.on")), h("label", { class: "check" }, t("sound.volume"), volume),
    h("div", { role: "group", "aria-label": t("filter.severity"), class: "tones" }, SEVERITIES.map((severity) => h("div", {}, box(severity, t(`severity.${severity}`)),
      h("button", { type: "button", "data-try": severity, "aria-label": `${t("sound.try")}: ${t(`severity.${severity}`)}`, onclick: () => sound.ring(severity) }, t("sound.try"))))),
    h("footer", {}, h("button", { type: "button", onclick: () => dialog.close() }, t("help.close"))));
  dialog.onkeydown = (event) => event.stopPropagation();
  if (!dialog.open) dialog.showModal();
}

// Resolves once the key was taken. The key is exchanged for a session and kept nowhere here.
export function logIn() {
  const dialog = document.getElementById("login");
  if (dialog.open) return new Promise(() => {});
  return new Promise((resolve) => {
    const key = h("input", { type: "password", id: "login-key", name: "key", autocomplete: "current-password", required: true });
    const wrong = h("p", { class: "wrong", role: "alert" });
    const enter = async (event) => {
      event.preventDefault();
      try {
        await post("/v1/session", { key: key.value.trim() });
        dialog.close();
        resolve();
      } catch (error) {
        wrong.textContent = error instanceof ApiProblem && error.status === 401 ? t("login.wrong") : t("failed", { why: error.message });
        key.select();
      }
    };
    dialog.oncancel = (event) => event.preventDefault();
    dialog.onkeydown = (event) => event.stopPropagation();
    dialog.replaceChildren(h("form", { onsubmit: enter },
      h("h2", { id: "login-title" }, t("login.title")),
      h("label", { for: "login-key" }, t("login.key")), key, wrong,
      h("footer", {}, h("button", { type: "submit", class: "act confirm" }, t("login.enter")))));
    dialog.showModal();
    key.focus();
  });
}
