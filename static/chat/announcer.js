// Tells a screen reader what happens, politely and in whole sentences: never a token at a time.

import { h } from "./dom.js";
import { plainText } from "./markdown.js";
import { t } from "./strings.js";

const PAUSE_MS = 2500;
const SENTENCES = /^[\s\S]*[.!?。！？…](?=\s|$|["”」』])|^[\s\S]*[。！？]/;

export class Announcer {
  constructor() {
    this.element = h("div", { class: "hidden-text", role: "status", "aria-live": "polite", "aria-atomic": "true" });
    this.id = null;
    this.spoken = 0;
    this.timer = 0;
  }

  say(text) {
    clearTimeout(this.timer);
    this.timer = 0;
    this.element.textContent = text;
  }

  /** The answer so far; speaks the sentences that are complete and new, at most every 2.5 seconds. */
  follow(message) {
    if (message.id !== this.id) Object.assign(this, { id: message.id, spoken: 0 });
    this.latest = message;
    this.timer ||= setTimeout(() => this.flush(), PAUSE_MS);
  }

  flush() {
    this.timer = 0;
    const whole = SENTENCES.exec(plainText(this.latest.text).slice(this.spoken))?.[0];
    if (!whole) return;
    this.spoken += whole.length;
    this.element.textContent = whole.trim();
  }

  finish(message) {
    clearTimeout(this.timer);
    this.timer = 0;
    const from = message.id === this.id && message.state !== "retracted" ? this.spoken : 0;
    const end = { complete: "answerDone", stopped: "announceStop" }[message.state] ?? message.state;
    this.id = null;
    this.element.textContent = `${plainText(message.text).slice(from)} ${t(end)}`.trim();
  }
}
