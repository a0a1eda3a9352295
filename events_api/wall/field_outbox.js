// What was pressed on the street: kept in the phone until the server has it, sent in order, each under one Idempotency-Key.
//
//   waiting ──► photographs, then the action ──► gone from here
//      │ ▲ no connection, server busy: later       │
//      └─┴──────────────────────────────────► refused: shown, with the reason, until a person decides
//
// A case's later actions wait behind one of its own that was refused.

import { ApiProblem, casePath, post } from "/wall/api.js";

const STORES = { actions: { keyPath: "n", autoIncrement: true }, drafts: { keyPath: "case" } };
const TIMEOUT_MS = 60000;
const LATER = new Set([408, 425, 429]);

export class Outbox {
  constructor({ changed, sent, key }) {
    Object.assign(this, { changed, sent, key });
    this.actions = [];
    this.sending = false;
    this.reached = true; // whether the last attempt reached the server
    this.lasting = true; // whether what is kept outlives the page
    this.wait = 2000;
  }

  async open() {
    try {
      this.db = await opened();
      this.actions = await all(this.db, "actions");
    } catch {
      this.lasting = false; // a private window may have no room: then for as long as the page is open
    }
    navigator.storage?.persist?.();
    addEventListener("online", () => this.send());
    document.addEventListener("visibilitychange", () => document.hidden || this.send());
    this.send();
  }

  of(id) {
    return this.actions.filter((each) => each.case === id);
  }

  // Returns once it is kept. `held` keeps it from being sent until whoever asked for that says otherwise, or the page is gone.
  async add(action) {
    const entry = { ...action, id: token(), at: new Date().toISOString(), state: "waiting" };
    entry.n = this.lasting ? await written(this.db, "actions", entry) : (this.actions.at(-1)?.n ?? 0) + 1;
    this.actions.push(entry);
    this.changed();
    return entry;
  }

  async keep(entry) {
    if (this.lasting) await written(this.db, "actions", entry);
    this.changed();
  }

  async drop(entry) {
    this.actions = this.actions.filter((each) => each.n !== entry.n);
    if (this.lasting) await removed(this.db, "actions", entry.n);
    this.changed();
  }

  async again(entry) {
    entry.state = "waiting";
    delete entry.problem;
    await this.keep(entry);
    this.send();
  }

  async draft(id) {
    return (this.lasting && (await found(this.db, "drafts", id))) || { case: id, photos: [] };
  }

  async keepDraft(draft) {
    if (!this.lasting) return;
    if (draft.photos.length) await written(this.db, "drafts", draft);
    else await removed(this.db, "drafts", draft.case);
  }

  // One tab sends at a time; where there are no locks, the keys see to it that nothing is done twice.
  async send() {
    this.more = true; // what is added while sending is sent at once after
    if (this.sending) return;
    this.sending = true;
    clearTimeout(this.timer);
    try {
      while (this.more) {
        this.more = false;
        if (navigator.locks) await navigator.locks.request("field-outbox", () => this.sendAll());
        else await this.sendAll();
      }
    } finally {
      this.sending = false;
      this.changed();
    }
    if (this.actions.some((each) => each.state === "waiting" && !this.mustWait(each))) {
      this.timer = setTimeout(() => this.send(), this.wait);
      this.wait = Math.min(30000, this.wait * 1.6);
    } else this.wait = 2000;
  }

  // For what was pressed before it on the same case.
  mustWait(entry) {
    return entry.held || this.actions.some((each) => each.case === entry.case && each.n < entry.n && (each.held || each.state === "refused"));
  }

  async sendAll() {
    if (this.lasting) this.actions = merged(this.actions, await all(this.db, "actions"));
    for (const entry of [...this.actions]) {
      if (entry.state !== "waiting" || this.mustWait(entry)) continue;
      try {
        const answer = await this.sendOne(entry);
        this.reached = true;
        await this.drop(entry);
        this.sent(entry, answer);
      } catch (error) {
        this.reached = error instanceof ApiProblem;
        if (!this.reached || error.status >= 500 || LATER.has(error.status)) return;
        if (error.status === 401) {
          this.key();
          return;
        }
        entry.state = "refused";
        entry.problem = { status: error.status, kind: (error.problem.type ?? "").split("#")[1] ?? "", detail: error.message, state: error.problem.state };
        await this.keep(entry);
      }
    }
  }

  async sendOne(entry) {
    for (const photo of entry.photos) {
      if (photo.ref) continue;
      photo.ref = (await upload(photo)).ref;
      await this.keep(entry);
    }
    const { action, reason, note } = entry;
    const evidence = entry.photos.map((photo) => photo.ref);
    return post(`${casePath(entry.case)}/actions`, { action, reason, note, evidence }, { "idempotency-key": entry.id });
  }
}

export function token() {
  // Not randomUUID: it is there for https alone, and a phone may come by http.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("");
}

async function upload(photo) {
  const answer = await fetch(`/v1/photos?captured_at=${encodeURIComponent(photo.taken_at)}`, {
    method: "POST", headers: { "content-type": "image/jpeg" }, body: photo.blob, signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiProblem(answer.status, said);
  return said;
}

// What this page knows of an entry is newer than what was stored; another tab may have sent some, or added others.
function merged(mine, stored) {
  const known = new Map(mine.map((each) => [each.n, each]));
  return stored.map((each) => known.get(each.n) ?? { ...each, held: false });
}

// -- IndexedDB, as promises ------------------------------------------------------------------------------------------

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("citybrain-field", 1);
    request.onupgradeneeded = () => {
      for (const [name, options] of Object.entries(STORES)) request.result.createObjectStore(name, options);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function all(db, store) {
  return asked(db, store, "readonly", (found) => found.getAll());
}

function found(db, store, key) {
  return asked(db, store, "readonly", (found) => found.get(key));
}

// Resolves to the key once it is on the disk. `held` is a matter of this page alone.
function written(db, store, { held, ...value }) {
  return asked(db, store, "readwrite", (found) => found.put(value));
}

function removed(db, store, key) {
  return asked(db, store, "readwrite", (found) => found.delete(key));
}

function asked(db, store, mode, ask) {
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(store, mode);
    const request = ask(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}
