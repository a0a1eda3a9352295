// What every page of the wall has at its edge: language, theme, the time, the connection, the way to the other pages.

import { ApiProblem } from "/wall/api.js";
import { logIn } from "/wall/dialogs.js";
import { preferred, speak, other, clock, h, t, tick } from "/wall/words.js";
import { now } from "/wall/time.js";

// Pages in the order in which they are offered.
export const PAGES = [
  ["/", "pages.wall"], ["/wall/map.html", "pages.map"], ["/wall/mosaic.html", "pages.mosaic"], ["/wall/health.html", "pages.health"],
  ["/wall/performance.html", "pages.performance"], ["/wall/silences.html", "pages.silences"], ["/wall/field.html", "pages.field"],
  ["/wall/?kiosk", "pages.kiosk"], ["/docs", "pages.docs"],
];
const THEMES = ["auto", "light", "dark"];
const TRY_AGAIN_MS = 2000;

export async function begin() {
  theme(localStorage.getItem("theme") ?? "auto");
  await speak(preferred());
  setInterval(tick, 1000);
  const shown = document.getElementById("now");
  const tell = () => shown && (shown.textContent = clock(now()));
  tell();
  setInterval(tell, 1000);
  drawEdge();
}

// Loads as often as it takes: asks for a key where one is needed, says that it is lost while nobody answers.
export async function arrive(load, lost) {
  for (;;) {
    try {
      return await load();
    } catch (error) {
      if (error instanceof ApiProblem && error.status === 401) await logIn();
      else {
        lost();
        await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_MS));
      }
    }
  }
}

// In the language that is spoken now.
export function drawEdge() {
  const button = document.getElementById("language");
  if (button) {
    button.textContent = other() === "zh" ? "中" : "EN";
    button.setAttribute("aria-label", `${button.textContent}: ${button.title}`); // what is said begins with what is read
  }
  const pages = PAGES.map(([href, name]) => h("a", { href, "aria-current": href === location.pathname ? "page" : null }, t(name)));
  document.querySelector("#pages nav")?.replaceChildren(...pages);
}

export async function otherLanguage() {
  await speak(other());
  drawEdge();
}

// Automatic, light, dark, in turn; returns the one that is shown now.
export function nextTheme() {
  const wanted = THEMES[(THEMES.indexOf(localStorage.getItem("theme")) + 1) % THEMES.length];
  theme(wanted);
  return wanted;
}

export function link(state) {
  const node = document.getElementById("link");
  node.className = `link ${state}`;
  node.textContent = state === "lost" ? "" : t(state);
}

// A red line since when; null takes it away.
export function lostSince(at) {
  const node = document.getElementById("lost");
  document.body.classList.toggle("cut", at !== null);
  node.hidden = at === null;
  if (at !== null) node.textContent = t("lost", { at: clock(at) });
  link(at === null ? "live" : "lost");
}

function theme(wanted) {
  const chosen = THEMES.includes(wanted) ? wanted : "auto";
  localStorage.setItem("theme", chosen);
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}
