// The field page without a connection: its own files as they were last, nothing of the city. Asked first is always the server.

const KEPT = "field-1";
const PATIENCE_MS = 4000;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// The page says which files it is made of, once it has them.
self.addEventListener("message", (event) => {
  if (!Array.isArray(event.data?.keep)) return;
  event.waitUntil((async () => {
    const cache = await caches.open(KEPT);
    await Promise.all(event.data.keep.map((path) => cache.add(new Request(path, { cache: "no-cache" })).catch(() => null)));
    event.source?.postMessage({ kept: event.data.keep.length });
  })());
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin || !url.pathname.startsWith("/wall/")) return;
  event.respondWith(serve(event.request));
});

async function serve(request) {
  const cache = await caches.open(KEPT);
  try {
    // By its address: a navigation cannot be made again with a limit of time.
    const answer = await fetch(request.url, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-cache" });
    if (answer.ok) await cache.put(plain(request), answer.clone());
    return answer;
  } catch (error) {
    const kept = await cache.match(plain(request));
    if (kept) return kept;
    throw error;
  }
}

// The page is the same whichever case it is opened for.
function plain(request) {
  return new URL(request.url).pathname;
}
