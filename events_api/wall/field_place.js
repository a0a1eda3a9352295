// Where the phone is, as far as its owner lets the page know.

const WAIT_MS = 7000;
const EARTH_M = 6371008.8; // mean radius, IUGG
let last = null;
let watching = null;

export function position() {
  return last;
}

// Asks the owner, the first time. `refused` is called when that is not allowed, or cannot be told.
export function watch(moved, refused = () => {}) {
  if (!navigator.geolocation) return refused();
  watching ??= navigator.geolocation.watchPosition((found) => {
    const before = last;
    take(found);
    if (!before || distance(before, last) > 25) moved();
  }, () => {
    watching = null;
    refused();
  }, { enableHighAccuracy: true, maximumAge: 15000 });
}

// {lat, lon, accuracy} now, or null when the phone does not say so in time.
export function located() {
  return new Promise((resolve) => {
    if (!navigator.geolocation) return resolve(null);
    const timer = setTimeout(() => resolve(null), WAIT_MS + 500); // a question to the owner does not count as time
    const done = (value) => {
      clearTimeout(timer);
      resolve(value);
    };
    navigator.geolocation.getCurrentPosition((found) => done(take(found)), () => done(null), { enableHighAccuracy: true, timeout: WAIT_MS, maximumAge: 20000 });
  });
}

// Metres between two places, as on a map of a few kilometres.
export function distance(a, b) {
  const rad = Math.PI / 180;
  const east = (b.lon - a.lon) * rad * Math.cos(((a.lat + b.lat) / 2) * rad);
  return EARTH_M * Math.hypot(east, (b.lat - a.lat) * rad);
}

function take({ coords }) {
  last = { lat: coords.latitude, lon: coords.longitude, accuracy: coords.accuracy };
  return last;
}
