// Pictures of cameras: one live, as fast as it is looked at; many in turn, each asked for only when there is a newer one.

const BACK_OFF_MS = [1000, 2000, 4000, 8000, 15000, 30000];

export function camerasPath(id, what = "") {
  return `/v1/cameras/${encodeURIComponent(id)}${what}`;
}

// Shows a JPEG in an image, whose last one stays until this one is decoded; its bytes are let go, whether it was shown or overtaken.
export function showPicture(image, blob) {
  const before = image.src;
  image.src = URL.createObjectURL(blob);
  if (before.startsWith("blob:")) URL.revokeObjectURL(before);
}

// Hands on picture after picture, {blob, capturedAt}, until the signal; connects again by itself. `onrefused` is told when the
// server gives no more streams.
export async function followLive(id, { onpicture, onlost, onrefused, signal }) {
  for (let tries = 0; !signal.aborted; tries += 1) {
    try {
      const answer = await fetch(camerasPath(id, "/live"), { signal, cache: "no-store" });
      if ([429, 503].includes(answer.status)) return onrefused();
      if (!answer.ok) throw new Error(String(answer.status));
      await parts(answer.body.getReader(), (part) => {
        tries = 0;
        onpicture(part);
      });
    } catch {
      // Cut off, or no picture yet: asked again below.
    }
    if (signal.aborted) return undefined;
    onlost();
    await new Promise((resolve) => setTimeout(resolve, BACK_OFF_MS[Math.min(tries, BACK_OFF_MS.length - 1)]));
  }
  return undefined;
}

// multipart/x-mixed-replace, taken apart: each part says how long it is.
async function parts(reader, onpart) {
  let held = new Uint8Array();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const joined = new Uint8Array(held.length + value.length);
    joined.set(held);
    joined.set(value, held.length);
    held = joined;
    for (;;) {
      const part = firstPart(held);
      if (!part) break;
      onpart(part);
      held = held.slice(part.end);
    }
  }
}

function firstPart(bytes) {
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, 400));
  const start = text.indexOf("content-type");
  const head = text.indexOf("\r\n\r\n", start);
  if (start < 0 || head < 0) return null;
  const said = Object.fromEntries(text.slice(start, head).split("\r\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
  const end = head + 4 + Number(said["content-length"]);
  if (bytes.length < end) return null;
  return { blob: new Blob([bytes.subarray(head + 4, end)], { type: "image/jpeg" }), capturedAt: said["captured-at"] ?? null, end };
}

// Keeps the pictures of many tiles fresh: only of those in sight, spread evenly, never more than so many questions a second.
export class Refresher {
  constructor({ aSecond = 12, atOnce = 4, everyMs = 1000 } = {}) {
    Object.assign(this, { aSecond, atOnce, everyMs });
    this.tiles = new Map();
    this.asking = 0;
    this.asked = 0;
    this.sight = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) {
        const tile = this.tiles.get(target);
        if (tile) tile.inSight = isIntersecting;
      }
    });
    this.timer = setInterval(() => this.turn(), 1000 / aSecond);
  }

  // `onpicture` gets {blob, capturedAt}; `onnone` is called when there is none.
  watch(node, id, { onpicture, onnone }) {
    this.tiles.set(node, { id, onpicture, onnone, etag: null, dueAt: 0, failures: 0, inSight: false, busy: false });
    this.sight.observe(node);
  }

  drop(node) {
    this.sight.unobserve(node);
    this.tiles.delete(node);
  }

  turn() {
    if (document.hidden || this.asking >= this.atOnce) return;
    const now = performance.now();
    let first = null;
    for (const tile of this.tiles.values()) {
      if (tile.inSight && !tile.busy && tile.dueAt <= now && (!first || tile.dueAt < first.dueAt)) first = tile;
    }
    if (first) this.ask(first);
  }

  async ask(tile) {
    tile.busy = true;
    this.asking += 1;
    this.asked += 1;
    try {
      const headers = tile.etag ? { "if-none-match": tile.etag } : {};
      const answer = await fetch(camerasPath(tile.id, "/snapshot.jpg"), { headers, cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (answer.status === 200) {
        tile.etag = answer.headers.get("etag");
        tile.onpicture({ blob: await answer.blob(), capturedAt: answer.headers.get("captured-at") });
      } else if (answer.status !== 304) throw new Error(String(answer.status));
      tile.failures = 0;
    } catch {
      tile.failures += 1;
      tile.onnone();
    } finally {
      const wait = tile.failures ? BACK_OFF_MS[Math.min(tile.failures, BACK_OFF_MS.length - 1)] : this.everyMs;
      tile.dueAt = performance.now() + wait;
      tile.busy = false;
      this.asking -= 1;
    }
  }
}
