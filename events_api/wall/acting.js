// What people do about a case: asked for what it needs, sent, said, and for some seconds offered to be taken back.

import { ApiProblem, casePath, get, post } from "/wall/api.js";
import { askReason, logIn } from "/wall/dialogs.js";
import { askAction, askFields } from "/wall/forms.js";
import { askOther } from "/wall/merging.js";
import { mayAct } from "/wall/person.js";
import { h, t, text } from "/wall/words.js";

const UNDO_MS = 8000;
const SAID_MS = 4000;

export class Acting {
  // `place` says where a case is, `units` whom cases were given to; `onanswer` is handed the case after it.
  constructor(toast, { place, units, onanswer }) {
    Object.assign(this, { toast, place, units, onanswer });
    this.asking = false;
    this.offer = null; // the case whose last action Z takes back, while the toast says so
    this.timer = 0;
  }

  async menu(item) {
    if (this.asking || !this.may()) return;
    // What is possible is asked anew: an event that has just come does not say it.
    const now = await this.ask(() => get(casePath(item.id)));
    const action = now && (await this.ask(() => askAction(now, { title: this.title(now) })));
    if (action) await this.act(action, now);
  }

  // Z: what was just done, whichever case is shown now; else what the shown case has to be taken back.
  async undo(item) {
    const id = this.offer ?? (item?.undoable ? item.id : null);
    if (id && this.may()) await this.send(id, { action: "undo" }, item?.id === id ? text(item.title) : "");
    else this.say(t("undo.nothing"), "warn");
  }

  async act(action, item) {
    if (this.asking || !this.may()) return;
    if (action === "undo") return this.undo(item);
    if (!item.allowed.includes(action)) return this.say(t("impossible", { state: t(`state.${item.state}`) }), "warn");
    const fields = await this.ask(() => this.fields(action, item));
    if (fields) await this.send(item.id, { action, ...fields }, text(item.title));
  }

  // Asked for what something needs that is no action on the case.
  async why(what, item) {
    return this.asking || !this.may() ? null : this.ask(() => askFields(what, item, { title: this.title(item), units: [] }));
  }

  async fields(action, item) {
    const title = this.title(item);
    if (action === "reject") return askReason(title);
    if (action === "merge") {
      const into = await askOther(item, { title, place: this.place });
      return into && { into };
    }
    return askFields(action, item, { title, units: this.units() });
  }

  async ask(question) {
    this.asking = true;
    try {
      return await question();
    } catch (error) {
      this.failed(error);
      return null;
    } finally {
      this.asking = false;
    }
  }

  async send(id, asked, title) {
    this.withdraw();
    try {
      const answer = await post(`${casePath(id)}/actions`, asked);
      const said = answer.applied ? [t(`done.${asked.action}`), title].filter(Boolean).join(" · ") : t("sent");
      this.say(said, "", answer.case.undoable === asked.action ? id : null);
      this.onanswer(answer.case);
    } catch (error) {
      this.failed(error);
    }
  }

  failed(error) {
    if (error instanceof ApiProblem && error.status === 401) return logIn();
    return this.say(t("failed", { why: error.message }), "bad");
  }

  may() {
    if (!mayAct()) this.say(t("viewer"), "warn");
    return mayAct();
  }

  title(item) {
    return `${text(item.title)} · ${this.place(item)}`;
  }

  say(said, kind = "", offer = null) {
    clearTimeout(this.timer);
    this.offer = offer;
    const button = offer && h("button", { type: "button", class: "undo", onclick: () => this.undo(null) }, t("action.undo"), h("kbd", {}, "Z"));
    this.toast.replaceChildren(h("span", {}, said), button || "");
    this.toast.className = `toast ${kind}`;
    this.toast.hidden = false;
    this.timer = setTimeout(() => this.withdraw(), offer ? UNDO_MS : SAID_MS);
  }

  withdraw() {
    clearTimeout(this.timer);
    this.offer = null;
    this.toast.hidden = true;
  }
}
