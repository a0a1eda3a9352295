// The API as the wall calls it: JSON in and out, problems as errors, and a stream that says when it is lost.

import { learn, monotonic } from "/wall/time.js";

export class ApiProblem extends Error {
  constructor(status, problem) {
    super(problem.detail ?? String(status));
    this.status = status;
    this.problem = problem;
  }
}

export async function get(path) {
  return call(path, { headers: { accept: "application/json" } });
}

export async function post(path, value, headers = {}) {
  return call(path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(value) });
}

export async function remove(path) {
  return call(path, { method: "DELETE", headers: { accept: "application/json" } });
}

// The figures of the day; they tell the time, too.
export async function stats() {
  const asked = monotonic();
  const found = await get("/v1/stats");
  learn(Date.parse(found.at), asked, monotonic());
  return found;
}

export function casePath(id) {
  return `/v1/cases/${encoded(id)}`;
}

export function casePage(id) {
  return `/cases/${encoded(id)}`;
}

export function cameraPage(id) {
  return `/wall/camera.html?${new URLSearchParams({ id })}`;
}

// The map with one thing in its middle: {camera} or {case}.
export function mapPage(wanted) {
  return `/wall/map.html?${new URLSearchParams(wanted)}`;
}

function encoded(id) {
  return id.split("/").map(encodeURIComponent).join("/");
}

async function call(path, options) {
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(15000) });
  if (answer.ok) return answer.json();
  let problem = {};
  try {
    problem = await answer.json();
  } catch {
    // A proxy's error page is no JSON; the status says enough.
  }
  throw new ApiProblem(answer.status, problem);
}

// Follows the case events from a cursor. Reconnects by itself, always from the last event it has handed on, so that nothing
// is missed or handed on twice. `refused` is called when the server will not go on from there.
export class Stream {
  constructor({ onevent, onopen, onlost, refused }) {
    Object.assign(this, { onevent, onopen, onlost, refused });
    this.cursor = null;
    this.source = null;
    this.wait = 500;
    this.timer = 0;
  }

  follow(cursor) {
    this.cursor = String(cursor);
    this.open();
  }

  // The server has events that did not come: the connection is dead without knowing it.
  behind(end) {
    if (this.source && Number(end) > Number(this.cursor)) {
      if (this.suspect === this.cursor) this.again();
      this.suspect = this.cursor;
    }
  }

  open() {
    this.stop();
    const source = new EventSource(`/v1/events/stream?after=${encodeURIComponent(this.cursor)}`);
    this.source = source;
    source.onopen = () => {
      this.wait = 500;
      this.onopen();
    };
    source.onmessage = (message) => {
      if (Number(message.lastEventId) <= Number(this.cursor)) return;
      this.cursor = message.lastEventId;
      this.onevent(JSON.parse(message.data));
    };
    source.onerror = () => this.again();
  }

  stop() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  again() {
    this.stop();
    this.onlost();
    this.timer = setTimeout(() => this.probe(), this.wait * (0.7 + 0.6 * Math.random()));
    this.wait = Math.min(5000, this.wait * 1.7);
  }

  // An EventSource does not say why it failed; a page of events does.
  async probe() {
    try {
      await get(`/v1/events?limit=1&after=${encodeURIComponent(this.cursor)}`);
      this.open();
    } catch (error) {
      if (error instanceof ApiProblem && error.status < 500) this.refused(error);
      else this.again();
    }
  }
}
