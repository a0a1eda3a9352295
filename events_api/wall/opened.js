// What the map, the mosaic and the cameras' pages do alike: come in, load, ask again, and say so when nobody answers.

import { ApiProblem, stats } from "/wall/api.js";
import { logIn } from "/wall/dialogs.js";
import { meet } from "/wall/person.js";
import { arrive, begin, lostSince, nextTheme, otherLanguage } from "/wall/shell.js";
import { now } from "/wall/time.js";

let lostAt = null;
let loading = null;

// `load` asks for everything, `redraw` shows it in another language or theme. Returns once it is there.
export async function opened({ load, redraw }) {
  loading = load;
  await begin();
  const anew = (change) => async () => {
    await change();
    redraw();
  };
  document.getElementById("language").addEventListener("click", anew(otherLanguage));
  document.getElementById("theme").addEventListener("click", anew(nextTheme));
  document.addEventListener("keydown", (event) => {
    const doing = { l: otherLanguage, t: nextTheme }[event.key.toLowerCase()];
    if (!doing || event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
    anew(doing)();
  });
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", redraw);
  await again();
}

// Everything from the beginning, as often as it takes.
export async function again() {
  await arrive(async () => {
    await meet();
    await stats(); // they tell the time
    await loading();
  }, lost);
  found();
}

// Ask each so many milliseconds, one question at a time, and not while nobody can see the page.
export function each(milliseconds, ask) {
  let asking = false;
  return setInterval(async () => {
    if (asking || document.hidden) return;
    asking = true;
    try {
      await ask();
      found();
    } catch (error) {
      await failed(error);
    } finally {
      asking = false;
    }
  }, milliseconds);
}

export function lost() {
  lostSince((lostAt ??= now()));
}

export function found() {
  lostAt = null;
  lostSince(null);
}

async function failed(error) {
  if (error instanceof ApiProblem && error.status === 401) return logIn();
  if (error instanceof ApiProblem && error.status < 500) {
    console.error(error); // ours: asking again brings nothing else
    return undefined;
  }
  return lost();
}
