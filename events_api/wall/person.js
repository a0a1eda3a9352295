// Who sits here, and what they chose: kept in this browser under their name, so that two people at one screen each find their own.

import { get } from "/wall/api.js";

let person = { name: "", role: "viewer" };

export async function meet() {
  person = await get("/v1/session");
  return person;
}

export function mayAct() {
  return ["operator", "engineer"].includes(person.role);
}

export function isEngineer() {
  return person.role === "engineer";
}

export function kept(what, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`${person.name}/${what}`)) ?? otherwise;
  } catch {
    return otherwise; // written by something else: as good as nothing
  }
}

export function keep(what, value) {
  localStorage.setItem(`${person.name}/${what}`, JSON.stringify(value));
}
