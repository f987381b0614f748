// Where a question is written: Enter sends, Shift+Enter breaks the line, Esc stops; the draft is kept.

import { h, icon } from "./dom.js";
import { LONGEST, t } from "./strings.js";

export class Composer {
  constructor({ storage, onSend, onStop }) {
    Object.assign(this, { storage, onSend, onStop });
    this.isAnswering = false;
    this.field = h("textarea", { rows: "1", placeholder: t("placeholder"), "aria-label": t("messageLabel"), "aria-describedby": "composer-problem", dir: "auto", enterkeyhint: "send", autocomplete: "off" });
    this.field.value = storage.get("draft") ?? "";
    this.button = h("button", { type: "button", class: "send", on: { click: () => this.press() } });
    this.problem = h("p", { class: "problem", id: "composer-problem", role: "alert" });
    this.element = h("form", { class: "composer", on: { submit: (event) => event.preventDefault() } }, this.problem, h("div", { class: "composer-box" }, this.field, this.button));
    this.field.addEventListener("input", () => this.changed());
    this.field.addEventListener("keydown", (event) => this.key(event));
    this.changed();
  }

  key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!this.isAnswering) this.submit();
  }

  press() {
    if (this.isAnswering) this.onStop();
    else this.submit();
    this.field.focus();
  }

  submit() {
    const text = this.field.value.trim();
    if (!text) return;
    if (text.length > LONGEST) return this.complain(t("tooLong", { length: text.length, most: LONGEST }));
    this.field.value = "";
    this.changed();
    this.onSend(text);
  }

  complain(text) {
    this.problem.textContent = text;
  }

  changed() {
    this.complain("");
    this.storage.set("draft", this.field.value || null);
    this.field.style.height = "auto";
    if (this.field.scrollHeight) this.field.style.height = `${Math.min(this.field.scrollHeight, 160)}px`;
    this.show();
  }

  setAnswering(isAnswering) {
    if (this.isAnswering === isAnswering) return;
    this.isAnswering = isAnswering;
    this.show();
  }

  show() {
    const name = this.isAnswering ? "stop" : "send";
    if (this.button.dataset.name !== name) {
      this.button.dataset.name = name;
      this.button.setAttribute("aria-label", t(name));
      this.button.title = t(name);
      this.button.replaceChildren(icon(name));
    }
    this.button.disabled = !this.isAnswering && !this.field.value.trim();
  }

  focus() {
    this.field.focus({ preventScroll: true });
  }
}
