// Points on the sphere as points of a plane (Web Mercator, the whole world is 0..1), gathered where they would cover each other,
// and the outline around what lies together.

const EARTH_M = 40075016.686; // the equator

export function toWorld(lon, lat) {
  return [(lon + 180) / 360, (1 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / Math.PI) / 2];
}

export function toDegrees([x, y]) {
  return [x * 360 - 180, (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI];
}

// How much of the world's width a metre is at this latitude.
export function metre(lat) {
  return 1 / (EARTH_M * Math.cos((lat * Math.PI) / 180));
}

// [{x, y, items}] of [{x, y, item}]: those within one square of `size` are one, at their middle.
export function gathered(points, size) {
  const squares = new Map();
  for (const { x, y, item } of points) {
    const key = Math.floor(x / size) * 67108864 + Math.floor(y / size);
    const square = squares.get(key);
    if (square) {
      square.x += x;
      square.y += y;
      square.items.push(item);
    } else squares.set(key, { x, y, items: [item] });
  }
  const found = [...squares.values()];
  for (const each of found) {
    each.x /= each.items.length;
    each.y /= each.items.length;
  }
  return found;
}

// The outline of what lies within `reach` of any of the points: the convex hull of circles around the outer ones.
export function outline(points, reach) {
  const around = [];
  for (const [x, y] of hull(points)) {
    for (let step = 0; step < 12; step += 1) {
      const turn = (step * Math.PI) / 6;
      around.push([x + reach * Math.cos(turn), y + reach * Math.sin(turn)]);
    }
  }
  return hull(around);
}

// Andrew's monotone chain.
export function hull(points) {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const turns = (o, a, b) => (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
  const half = (along) => {
    const found = [];
    for (const each of along) {
      while (found.length > 1 && turns(found.at(-2), found.at(-1), each) <= 0) found.pop();
      found.push(each);
    }
    found.pop();
    return found;
  };
  return sorted.length < 3 ? sorted : [...half(sorted), ...half(sorted.reverse())];
}
