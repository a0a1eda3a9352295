// What time it is for the city: the server's time, from which a browser's own clock may be minutes away.

let offset = 0;
let trusted = Infinity; // the round trip of the answer that the offset was learnt from

// Milliseconds that nobody can set back.
export function monotonic() {
  return performance.timeOrigin + performance.now();
}

export function now() {
  return monotonic() + offset;
}

// The server said `at` somewhere between two instants of ours: the shorter that was, the better it is known. What contradicts
// it beyond doubt (a computer that slept) counts whatever its round trip.
export function learn(at, asked, answered) {
  const trip = answered - asked;
  const found = at - (asked + answered) / 2;
  if (trip <= trusted || Math.abs(found - offset) > trip / 2 + trusted / 2) {
    offset = found;
    trusted = trip;
  } else trusted *= 1.05; // clocks drift apart: in time a newer answer is believed again
}
