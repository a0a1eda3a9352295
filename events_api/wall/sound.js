// Tones by severity, made here: silent until a person allows them, never more than one a second, and again and again while a
// fire waits for somebody to judge it.

import { kept, keep } from "/wall/person.js";

export const SEVERITIES = ["critical", "high", "normal", "low"]; // the gravest first
const TONES = {
  critical: { pitch: [880, 1320, 880], lasts: 0.6, shape: "square" },
  high: { pitch: [660, 520], lasts: 0.4, shape: "triangle" },
  normal: { pitch: [520], lasts: 0.25, shape: "sine" },
  low: { pitch: [390], lasts: 0.15, shape: "sine" },
};
const LOUDNESS = { square: 0.35, triangle: 0.9, sine: 1 };
const APART_MS = 1000;
const REMIND_MS = 5000;
const UNTOLD = { on: false, volume: 0.5, critical: true, high: true, normal: true, low: false };

export class Sound {
  // `waiting` says whether something grave waits for somebody; `onchange` is told when the state is another one.
  constructor({ waiting, onchange }) {
    Object.assign(this, { waiting, onchange });
    this.context = null;
    this.last = -Infinity;
    this.pending = null;
    this.timer = 0;
    this.chosen = { ...UNTOLD };
    setInterval(() => {
      if (this.waiting()) this.ring("critical");
    }, REMIND_MS);
  }

  // What this person chose before. A page that was just opened may make no sound until somebody touches it.
  recall() {
    this.chosen = { ...UNTOLD, ...kept("sound", {}) };
    if (this.chosen.on) this.wake();
    this.onchange();
  }

  set(change) {
    this.chosen = { ...this.chosen, ...change };
    keep("sound", this.chosen);
    if (this.chosen.on) this.wake();
    this.onchange();
  }

  get state() {
    if (!this.chosen.on) return "off";
    return this.context?.state === "running" ? "on" : "blocked";
  }

  wake() {
    if (!this.context) {
      this.context = new AudioContext();
      this.context.onstatechange = () => this.onchange();
      for (const touch of ["keydown", "pointerdown"]) document.addEventListener(touch, () => this.chosen.on && this.context.resume());
    }
    this.context.resume();
  }

  // Of what comes within one second only the gravest is heard.
  ring(severity) {
    if (!this.chosen.on || !this.chosen[severity]) return;
    if (!this.pending || SEVERITIES.indexOf(severity) < SEVERITIES.indexOf(this.pending)) this.pending = severity;
    if (!this.timer) this.play();
  }

  play() {
    this.timer = 0;
    const wait = this.last + APART_MS - performance.now();
    if (wait > 0) {
      this.timer = setTimeout(() => this.play(), Math.ceil(wait)); // a timer may come a moment early: then it waits again
      return;
    }
    const severity = this.pending;
    this.pending = null;
    if (this.state !== "on" || !severity) return;
    const { pitch, lasts, shape } = TONES[severity];
    const from = this.context.currentTime;
    const tone = new OscillatorNode(this.context, { type: shape, frequency: pitch[0] });
    const level = new GainNode(this.context, { gain: 0 });
    pitch.forEach((hertz, step) => tone.frequency.setValueAtTime(hertz, from + (step * lasts) / pitch.length));
    level.gain.setValueAtTime(0, from);
    level.gain.linearRampToValueAtTime(this.chosen.volume * LOUDNESS[shape], from + 0.02);
    level.gain.setValueAtTime(this.chosen.volume * LOUDNESS[shape], from + lasts - 0.05);
    level.gain.linearRampToValueAtTime(0, from + lasts);
    tone.connect(level).connect(this.context.destination);
    tone.start(from);
    tone.stop(from + lasts);
    this.last = performance.now();
    document.dispatchEvent(new CustomEvent("rang", { detail: severity }));
  }
}
