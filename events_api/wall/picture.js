// A picture with the box drawn where the detector saw it, a clip to play, and the ten seconds as a bar.

import { h, svg, t } from "/wall/words.js";

const TEN = 10;
export const STAGES = ["received", "decoded", "inferred", "confirmed", "filed", "posted"];

// `original`: why the picture is to be seen without its masks; the server notes it.
export function picture(evidence, { alt, eager = false, original = null } = {}) {
  if (!evidence) return h("div", { class: "frame empty" }, h("span", {}, t("evidence.none")));
  const image = h("img", {
    src: address(evidence, original),
    alt: alt ?? "", loading: eager ? "eager" : "lazy", decoding: "async", draggable: "false",
  });
  const sheet = h("div", { class: "sheet" }, image, box(evidence.box));
  const frame = h("div", { class: "frame" }, sheet);
  image.addEventListener("load", () => fit(sheet, image.naturalWidth, image.naturalHeight));
  image.addEventListener("error", () => {
    frame.classList.add("empty");
    frame.replaceChildren(h("span", {}, t("evidence.gone")));
  });
  return frame;
}

export function isClip(evidence) {
  return evidence?.kind === "clip";
}

// Where somebody asked for it, it plays at once. What this browser cannot decode can still be taken home.
export function clip(evidence, { label, autoplay = true, original = null }) {
  const video = h("video", {
    src: address(evidence, original), "aria-label": label, controls: true, autoplay, muted: true, playsinline: true,
    preload: autoplay ? "auto" : "metadata", disablepictureinpicture: true,
  });
  video.muted = true; // the attribute alone does not count for an element made by a script
  const sheet = h("div", { class: "sheet" }, video);
  const frame = h("div", { class: "frame" }, sheet);
  video.addEventListener("loadedmetadata", () => fit(sheet, video.videoWidth, video.videoHeight));
  video.addEventListener("error", async () => {
    const there = await fetch(address(evidence), { method: "HEAD" }).then((answer) => answer.ok, () => false);
    frame.classList.add("empty");
    frame.replaceChildren(h("span", {}, t(there ? "clip.unplayable" : "clip.gone"), there ? download(evidence) : null));
  });
  return frame;
}

export function download(evidence) {
  const [, date, name] = evidence.ref.split("/");
  return h("a", { class: "download", href: address(evidence), download: `${evidence.camera}-${date}-${name}` }, t("clip.download"));
}

function address(evidence, original = null) {
  const asked = original ? `?${new URLSearchParams({ unmasked: "true", reason: original })}` : "";
  return `/v1/evidence/${evidence.ref.split("/").map(encodeURIComponent).join("/")}${asked}`;
}

// The sheet takes the picture's own shape, so that the box's 0..1 are the picture's, never the frame's.
function fit(sheet, width, height) {
  if (!width) return;
  sheet.style.setProperty("--ratio", String(width / height));
  sheet.classList.add("fitted");
}

function box(corners) {
  if (!corners) return null;
  const [x1, y1, x2, y2] = corners;
  const at = { x: x1, y: y1, width: x2 - x1, height: y2 - y1 };
  return svg("svg", { class: "box", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "under", ...at }), svg("rect", { class: "over", ...at }));
}

// [{stage, seconds}] from the stamps; a stage without its stamp belongs to the next one.
export function stages(stamps) {
  const found = [];
  let last = stamps.captured ? Date.parse(stamps.captured) : NaN;
  for (const stage of STAGES) {
    if (!stamps[stage]) continue;
    const at = Date.parse(stamps[stage]);
    if (!Number.isNaN(last)) found.push({ stage, seconds: Math.max(0, (at - last) / 1000) });
    last = at;
  }
  return found;
}

export function latencyBar(item) {
  const parts = stages(item.stamps);
  const total = item.latency_s ?? parts.reduce((sum, part) => sum + part.seconds, 0);
  const over = total > TEN;
  const bar = h("div", { class: `ten${over ? " over" : ""}${item.latency_s === null ? " unposted" : ""}`, role: "img", "aria-label": latencyText(item) });
  const scale = Math.max(TEN, total);
  for (const part of parts) {
    const piece = h("i", { class: `stage-${part.stage}`, title: `${t(`stage.${part.stage}`)} ${part.seconds.toFixed(2)} s` });
    piece.style.width = `${(part.seconds / scale) * 100}%`;
    bar.append(piece);
  }
  if (over) {
    const mark = h("b", {});
    mark.style.left = `${(TEN / scale) * 100}%`;
    bar.append(mark);
  }
  return bar;
}

export function latencyText(item) {
  if (item.latency_s !== null) return t("posted_in", { s: item.latency_s.toFixed(1) }) + (item.latency_s > TEN ? ` · ${t("over_ten")}` : "");
  return t(item.trial ? "not_dispatched" : "not_posted");
}
