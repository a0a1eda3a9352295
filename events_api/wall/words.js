// What the wall says, in the language of whoever reads it; and small builders for what it shows.

import { now } from "/wall/time.js";

const LANGUAGES = ["zh", "en"];
let words = {};
export let language = "zh";

export async function speak(wanted) {
  language = LANGUAGES.includes(wanted) ? wanted : "en";
  const answer = await fetch(`/wall/locale/${language}.json`);
  words = await answer.json();
  localStorage.setItem("language", language);
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const each of document.querySelectorAll("[data-t]")) each.textContent = t(each.dataset.t);
  for (const each of document.querySelectorAll("[data-t-title]")) {
    each.title = t(each.dataset.tTitle);
    each.setAttribute("aria-label", each.title);
  }
  for (const each of document.querySelectorAll("[data-t-label]")) each.setAttribute("aria-label", t(each.dataset.tLabel));
}

export function preferred() {
  return localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
}

export function other() {
  return language === "zh" ? "en" : "zh";
}

// A word missing from a locale shows its key: visible, and a test looks for it.
export function t(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export function has(key) {
  return key in words;
}

export function text(both) {
  return both ? both[language] || both.en || both.zh : "";
}

export function age(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 100) return t("age.s", { n: s });
  const m = Math.round(s / 60);
  if (m < 100) return t("age.m", { n: m });
  if (m < 48 * 60) {
    const h = Math.floor(m / 60);
    return h < 10 && m % 60 ? t("age.hm", { h, m: m % 60 }) : t("age.h", { n: Math.round(m / 60) });
  }
  return t("age.d", { n: Math.round(m / 1440) });
}

// Made once each: a format is dear to make, and a wall tells the time all night.
const formats = new Map();
function written(at, options) {
  const key = `${language} ${Object.keys(options)}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", { ...options, hourCycle: "h23" }));
  return formats.get(key).format(new Date(at));
}

export function clock(at, seconds = true) {
  return written(at, { hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) });
}

export function day(at) {
  const then = new Date(at);
  const time = clock(at);
  if (then.toDateString() === new Date(now()).toDateString()) return time;
  return `${written(then, { month: "2-digit", day: "2-digit" })} ${time}`;
}

// h("li", {class: "row", onclick: f}, "text", node): properties starting with "on" are listeners, the rest attributes.
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  set(node, properties);
  node.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== false));
  return node;
}

export function svg(tag, properties = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(node, properties);
  node.append(...children);
  return node;
}

function set(node, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
}

// An element whose text follows the clock: `write` is called each second while it is on the page.
const ticking = new Set();
export function ticks(node, write) {
  const each = { node: new WeakRef(node), write };
  node.textContent = write();
  ticking.add(each);
  return node;
}

export function tick() {
  for (const each of ticking) {
    const node = each.node.deref();
    if (!node) ticking.delete(each);
    else if (node.isConnected) {
      const now = each.write();
      if (node.textContent !== now) node.textContent = now;
    }
  }
}
