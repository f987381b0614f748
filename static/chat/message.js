// One message on the screen: its text, what became of it, and what can be done with it.

import { addChips, sourceList } from "./citations.js";
import { h, icon, iconButton } from "./dom.js";
import { MarkdownView } from "./markdown.js";
import { duration, t } from "./strings.js";

export function progressText(turn) {
  if (!turn) return t("thinking");
  if (turn.state === "queued" && turn.place) {
    const wait = turn.expected_wait_s;
    return wait ? t("queuedWait", { place: turn.place, wait: duration(Math.max(1, Math.round(wait))) }) : t("queuedPlace", { place: turn.place });
  }
  return t({ queued: "queued", screening: "screening", searching: "searching", generating: "generating" }[turn.state] ?? "thinking");
}

const CACHED = new Set(["exact", "flight"]);

const isCached = (receipt) => CACHED.has(receipt.cache?.tier);

function line(receipt) {
  const isTimed = receipt.total_ms !== undefined && receipt.total_ms !== null;
  const parts = [isTimed && h("span", { text: duration(receipt.total_ms / 1000) })];
  if (isCached(receipt)) parts.push(h("span", { text: t("fromCache") }));
  else if (receipt.model) parts.push(h("span", { class: "model", text: receipt.model }));
  return parts.filter(Boolean);
}

function receiptButton(receipt) {
  const parts = line(receipt);
  if (!parts.length) return null;
  const button = h("button", { type: "button", class: "receipt", "aria-haspopup": "dialog", title: t("receipt") }, isCached(receipt) && icon("bolt"), parts);
  button.addEventListener("click", async () => (await import("./details.js")).showReceipt(button, receipt));
  return button;
}

export class MessageView {
  /** `actions`: ask, retry, regenerate, edit, select, feedback, handoff of the session. */
  constructor(message, actions) {
    this.actions = actions;
    this.isEditing = false;
    this.element = h("article", { class: `message ${message.role}`, "data-id": message.id });
    this.who = h("h2", { class: "hidden-text", text: t(message.role === "user" ? "you" : "assistant") });
    this.body = h("div", { class: "body", dir: "auto" });
    this.progress = h("div", { class: "progress" });
    this.extra = h("div", { class: "extra" });
    this.element.append(this.who, this.body, this.progress, this.extra);
    this.view = new MarkdownView(this.body, { decorate: (nodes) => addChips(nodes, this.message.citations) });
  }

  /** `shown` is the part of the text let in so far; while `isWriting`, nothing can be done with it yet. */
  update(message, { turn, siblings, shown, isWriting }) {
    this.message = message;
    this.isWriting = isWriting;
    this.element.dataset.state = isWriting ? "streaming" : message.state;
    this.element.dataset.step = turn?.state ?? "";
    if (!this.isEditing) this.showText(shown, isWriting);
    this.showProgress(isWriting && turn ? progressText(turn) : "", isWriting && Boolean(shown));
    const key = JSON.stringify([message.state, message.outcome, message.feedback, message.receipt, message.citations, siblings, message.error, isWriting, this.isEditing]);
    if (key === this.extraKey) return;
    this.extraKey = key;
    this.extra.replaceChildren(...(this.isEditing ? [] : this.role(siblings)).filter(Boolean));
  }

  showText(text, isWriting) {
    if (this.message.role === "user") {
      if (this.body.textContent !== text) this.body.textContent = text;
      return;
    }
    const stamp = (this.message.citations ?? []).map((citation) => citation.number + citation.url).join();
    this.view.show(text, { isWhole: !isWriting, stamp });
  }

  showProgress(text, hasText) {
    this.progress.hidden = !text || hasText;
    this.element.classList.toggle("is-writing", hasText);
    if (this.progress.dataset.text === text) return;
    this.progress.dataset.text = text;
    this.progress.replaceChildren(h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")), h("span", { text }));
  }

  role(siblings) {
    return this.message.role === "user" ? this.userExtra(siblings) : this.answerExtra(siblings);
  }

  userExtra(siblings) {
    const { message } = this;
    if (message.state === "sending") return [];
    if (message.state === "unsent") {
      return [this.notice("danger", message.error || t("unsent"), h("button", { type: "button", class: "button quiet small", text: t("retry"), on: { click: () => this.actions.resend(message) } }))];
    }
    return [h("div", { class: "tools" }, iconButton("edit", t("edit"), () => this.edit()), this.branches(siblings))];
  }

  answerExtra(siblings) {
    const { message } = this;
    if (this.isWriting) return [];
    const parts = [];
    if (message.citations?.length) parts.push(sourceList(message.citations, message.text));
    if (message.state === "stopped") parts.push(h("p", { class: "note", text: t("stopped") }));
    if (["interrupted", "failed"].includes(message.state)) {
      parts.push(this.notice("warn", t(message.state), h("button", { type: "button", class: "button quiet small retry", on: { click: () => this.actions.regenerate(message) } }, icon("retry"), t("retry"))));
    }
    if (message.outcome === "refused") {
      parts.push(this.notice("calm", t("refusedOffer"), h("button", { type: "button", class: "button quiet small", on: { click: () => this.actions.handoff() } }, icon("person"), t("person"))));
    }
    parts.push(this.answerTools(siblings));
    return parts;
  }

  notice(kind, text, button) {
    return h("div", { class: `inline-notice ${kind}` }, h("span", { text }), button);
  }

  answerTools(siblings) {
    const { message } = this;
    const thumb = (value, name, label) => {
      const button = iconButton(name, label, () => this.rate(value, button), { "aria-pressed": String(message.feedback === value), class: "icon-button thumb" });
      return button;
    };
    const canJudge = !["interrupted", "failed", "retracted"].includes(message.state);
    const copy = iconButton("copy", t("copy"), async () => {
      await navigator.clipboard.writeText(message.text);
      copy.replaceChildren(icon("check"));
      setTimeout(() => copy.replaceChildren(icon("copy")), 1600);
    });
    return h("div", { class: "tools" },
      canJudge && copy,
      canJudge && thumb(1, "up", t("good")),
      canJudge && thumb(-1, "down", t("bad")),
      canJudge && iconButton("redo", t("regenerate"), () => this.actions.regenerate(message)),
      this.branches(siblings),
      message.receipt && receiptButton(message.receipt));
  }

  branches(siblings) {
    if (siblings.length < 2) return null;
    const index = siblings.indexOf(this.message.id);
    const step = (name, label, offset) => iconButton(name, label, () => this.actions.select(siblings[index + offset]), { disabled: siblings[index + offset] === undefined });
    return h("div", { class: "branches", role: "group", "aria-label": t("version", { index: index + 1, total: siblings.length }) },
      step("left", t("previous"), -1), h("span", { text: `${index + 1}/${siblings.length}` }), step("right", t("next"), 1));
  }

  async rate(value, button) {
    const { message } = this;
    const chosen = message.feedback === value ? 0 : value;
    this.actions.feedback(message, chosen, "");
    if (chosen !== -1) return;
    const { askReason } = await import("./details.js");
    askReason(this.element.querySelectorAll(".thumb")[1] ?? button, (reason) => {
      this.actions.feedback(this.message, -1, reason);
      this.actions.announce(t("thanks"));
    });
  }

  async edit() {
    const { editor } = await import("./details.js");
    this.isEditing = true;
    const done = (text) => {
      this.isEditing = false;
      this.body.replaceChildren();
      this.extraKey = null;
      if (text) this.actions.edit(this.message, text);
      this.actions.refresh();
      requestAnimationFrame(() => this.element.querySelector(".tools button")?.focus());
    };
    this.extra.replaceChildren();
    editor(this.body, this.message.text, done);
  }
}
