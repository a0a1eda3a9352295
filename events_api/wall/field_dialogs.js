// What the field page asks: why a case is returned, why there is no photograph, and a key.

import { h, t } from "/wall/words.js";
import { ApiProblem, post } from "/wall/api.js";
import { RETURNS } from "/wall/field_steps.js";

const WITHOUT = ["dark", "unsafe", "camera", "nothing"];

function ask(build) {
  const dialog = document.getElementById("ask");
  return new Promise((resolve) => {
    let answer = null;
    const done = (given) => {
      answer = given;
      dialog.close();
    };
    dialog.onclose = () => resolve(answer);
    dialog.replaceChildren(build(done, () => dialog.close()));
    dialog.showModal();
  });
}

function options(name, keys) {
  return keys.map(([value, label]) => h("label", { class: "option" }, h("input", { type: "radio", name, value }), label));
}

function footer(cancel, label) {
  return h("footer", {}, h("button", { type: "button", onclick: cancel }, t("reject.cancel")), h("button", { type: "submit", class: "main" }, label));
}

export function askReturn() {
  return ask((done, cancel) => {
    const note = h("textarea", { rows: "2", maxlength: "500", "aria-label": t("reject.note"), placeholder: t("reject.note") });
    const wrong = h("p", { class: "wrong", role: "alert" });
    const form = h("form", {
      onsubmit: (event) => {
        event.preventDefault();
        const reason = new FormData(form).get("reason");
        if (!reason) wrong.textContent = t("field.say_why");
        else if (reason === "other" && !note.value.trim()) wrong.textContent = t("reject.other_needs");
        else done({ reason, note: note.value.trim() });
      },
    }, h("h2", { id: "ask-title" }, t("field.return_why")), h("fieldset", {}, options("reason", RETURNS.map((each) => [each, t(`reason.${each}`)]))), note, wrong,
    footer(cancel, t("field.return")));
    return form;
  });
}

// Done needs a photograph, or why there is none.
export function askDone(photos) {
  return ask((done, cancel) => {
    const note = h("textarea", { rows: "2", maxlength: "500", "aria-label": t("reject.note"), placeholder: t("reject.note") });
    const wrong = h("p", { class: "wrong", role: "alert" });
    const none = photos === 0;
    const why = WITHOUT.map((each) => [t(`field.without.${each}`), t(`field.without.${each}`)]);
    const form = h("form", {
      onsubmit: (event) => {
        event.preventDefault();
        const without = new FormData(form).get("without");
        if (none && !without) wrong.textContent = t("field.say_why");
        else done({ reason: "", note: [none ? t("field.without", { why: without }) : "", note.value.trim()].filter(Boolean).join("; ") });
      },
    }, h("h2", { id: "ask-title" }, t(none ? "field.without_why" : "field.done_with", { n: photos })),
    none && h("fieldset", {}, options("without", why)), note, wrong, footer(cancel, t("field.verify")));
    return form;
  });
}

// Resolves to the session. The key is exchanged for it and kept nowhere here.
export function enter() {
  const dialog = document.getElementById("login");
  return new Promise((resolve) => {
    const key = h("input", { type: "password", id: "login-key", autocomplete: "current-password", required: true, "aria-label": t("login.key") });
    const wrong = h("p", { class: "wrong", role: "alert" });
    dialog.oncancel = (event) => event.preventDefault();
    dialog.replaceChildren(h("form", {
      onsubmit: async (event) => {
        event.preventDefault();
        try {
          const session = await post("/v1/session", { key: key.value.trim() });
          dialog.close();
          resolve(session);
        } catch (error) {
          wrong.textContent = error instanceof ApiProblem && error.status === 401 ? t("login.wrong") : t("failed", { why: error.message });
        }
      },
    }, h("h2", { id: "login-title" }, t("login.title")), key, wrong, h("footer", {}, h("button", { type: "submit", class: "main" }, t("login.enter")))));
    dialog.showModal();
  });
}
