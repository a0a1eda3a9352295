// What the person on the spot can do about a case, and what a case will be once everything pressed has been sent.

const FROM = {
  handle: ["filed", "dispatched", "deferred"], // one that was returned is for somebody else to give out anew
  arrive: ["filed", "dispatched", "handling"],
  verify: ["filed", "dispatched", "handling"],
  return: ["filed", "dispatched", "handling", "deferred"],
};
const INTO = {
  handle: (item, at) => ({ ...item, state: "handling", accepted_at: at, done_at: null }),
  arrive: (item, at) => ({ ...item, state: "handling", accepted_at: item.accepted_at ?? at, arrived_at: at }),
  verify: (item, at) => ({ ...item, state: "verifying", done_at: at }),
  return: (item) => ({ ...item, state: "returned" }),
};

export const STEPS = [{ key: "handle", at: "accepted_at" }, { key: "arrive", at: "arrived_at" }, { key: "verify", at: "done_at" }];
export const RETURNS = ["not_ours", "not_there", "cannot_now", "other"];

export function foreseen(item, entries) {
  return entries.filter((each) => each.state !== "refused").reduce((so, each) => INTO[each.action](so, each.at), item);
}

export function possible(item) {
  return Object.keys(FROM).filter((action) => FROM[action].includes(item.state) && !(action === "arrive" && item.arrived_at));
}

// The one that is usually next; null when nothing is.
export function next(item) {
  const can = possible(item);
  if (can.includes("handle")) return "handle";
  if (can.includes("arrive")) return "arrive";
  return can.includes("verify") ? "verify" : null;
}
