// Writing and trying zones, and waiting until those who look at cameras and judge what they see go on by them.

import { ApiProblem, get } from "/wall/api.js";

const WAIT_MS = 120000;
const EVERY_MS = 700;
const WHO = ["ingest", "pipeline"];

// Written, but a process does not take it: for its faults, or not in time.
export class Refused extends Error {
  constructor(faults, late = false) {
    super(faults.join("; "));
    Object.assign(this, { faults, late });
  }
}

export function write(path, drawing, revision) {
  return send("PUT", path, drawing, { "if-match": `"${revision}"` });
}

export function rehearse(path, drawing) {
  return send("POST", path, drawing);
}

// As api.js does it, with the patience that checking a whole configuration takes.
async function send(method, path, value, headers = {}) {
  const answer = await fetch(path, {
    method, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(value), signal: AbortSignal.timeout(WAIT_MS),
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiProblem(answer.status, said);
  return said;
}

// `waiting` is called with those who do not yet go on by it. A later change by somebody else is as good: ours is in it.
export async function inForce(revision, waiting) {
  const began = Date.now();
  let before = null;
  for (;;) {
    const { items } = await get("/v1/configuration").catch(() => ({ items: null }));
    const of = items?.filter((each) => WHO.includes(each.process.split("/")[0])) ?? [];
    before ??= new Map(of.map((each) => [each.process, each.adopted_at]));
    const taken = (each) => each.revision === revision || (before.has(each.process) && before.get(each.process) !== each.adopted_at);
    const left = of.filter((each) => !taken(each));
    const refused = left.find((each) => each.refused_since);
    if (refused) throw new Refused(refused.faults);
    if (of.length && !left.length) return; // nobody says anything while Redis is away: then nobody knows
    if (Date.now() - began > WAIT_MS) throw new Refused(left.map((each) => each.process), true);
    waiting(left.map((each) => each.process.split("/")[0]));
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}
