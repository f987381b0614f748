// The list of messages: keeps one view per message, reveals streamed text smoothly, and stays at the
// end only while the reader is there.

import { h, icon, isCalm, perFrame } from "./dom.js";
import { MessageView } from "./message.js";
import { t } from "./strings.js";

const NEAR_END_PX = 80;

export class Transcript {
  constructor({ store, actions, welcome }) {
    Object.assign(this, { store, actions, welcome });
    this.views = new Map();
    this.shown = new Map(); // id → characters revealed so far
    this.list = h("div", { class: "messages", role: "log", "aria-live": "off", "aria-label": t("transcript") });
    this.start = h("div", { class: "start" });
    this.jump = h("button", { type: "button", class: "jump", "aria-label": t("latest"), title: t("latest"), hidden: true, on: { click: () => this.toEnd(true) } }, icon("arrow"));
    this.scroller = h("div", { class: "scroller", tabindex: "-1" }, this.start, this.list);
    this.element = h("div", { class: "transcript" }, this.scroller, this.jump);
    this.isAtEnd = true;
    this.scroller.addEventListener("scroll", () => this.watchEnd(), { passive: true });
    new ResizeObserver(() => this.isAtEnd && this.toEnd()).observe(this.scroller);
    this.refresh = perFrame(() => this.render());
  }

  watchEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    this.jump.hidden = this.isAtEnd;
  }

  toEnd(isAsked = false) {
    this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior: isAsked && !isCalm() ? "smooth" : "instant" });
  }

  render() {
    const path = this.store.path();
    const keep = new Set(path.map((message) => message.id));
    for (const [id, view] of this.views) {
      if (!keep.has(id)) {
        view.element.remove();
        this.views.delete(id);
        this.shown.delete(id);
      }
    }
    path.forEach((message, index) => this.renderMessage(message, index));
    this.start.hidden = path.length > 0 || !this.store.isLoaded;
    if (!this.start.hidden && !this.start.childElementCount) this.start.append(...this.welcome());
    if (this.start.hidden) this.start.replaceChildren();
    if (this.isAtEnd) this.toEnd();
  }

  renderMessage(message, index) {
    let view = this.views.get(message.id);
    if (!view) {
      view = new MessageView(message, this.actions);
      this.views.set(message.id, view);
    }
    if (this.list.children[index] !== view.element) this.list.insertBefore(view.element, this.list.children[index] ?? null);
    const { turn } = this.store;
    const shown = this.reveal(message);
    const isWriting = message.state === "streaming" || shown.length < message.text.length;
    view.update(message, { turn: turn?.answer === message.id ? turn : null, siblings: this.store.siblings(message), shown, isWriting });
  }

  /** Sentences arrive whole; they are let in over a few frames so that the text flows. */
  reveal(message) {
    const before = this.shown.get(message.id);
    const length = message.text.length;
    if (before === undefined || before >= length || isCalm() || document.hidden || message.state === "retracted") {
      this.shown.set(message.id, message.state === "streaming" && before === undefined ? 0 : length);
      if (before === undefined && message.state === "streaming" && length) this.shown.set(message.id, length);
      return message.text;
    }
    let next = Math.min(length, before + Math.max(3, Math.ceil((length - before) / 9)));
    while (next < length && /\S/.test(message.text[next]) && next - before < 40) next++;
    this.shown.set(message.id, next);
    if (next < length) this.refresh();
    return next < length ? message.text.slice(0, next) : message.text;
  }

  clear() {
    this.list.replaceChildren();
    this.start.replaceChildren();
    this.views.clear();
    this.shown.clear();
    this.isAtEnd = true;
  }
}
