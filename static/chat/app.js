// The chat itself: in the widget's frame, or with the history beside it as a page of its own.

import { Announcer } from "./announcer.js";
import { Bridge } from "./bridge.js";
import { Composer } from "./composer.js";
import { h, icon, iconButton, perFrame } from "./dom.js";
import { closePopover } from "./popover.js";
import { Session } from "./session.js";
import { inLanguage, setLocale, t } from "./strings.js";
import { Transcript } from "./transcript.js";

const root = document.getElementById("parley");
const config = JSON.parse(document.getElementById("parley-config").textContent);
config.isPage = root.dataset.mode === "page";
const query = new URLSearchParams(location.search);

class App {
  constructor() {
    this.session = new Session(config);
    this.store = this.session.store;
    this.isOpen = config.isPage || query.get("mode") === "inline";
    this.numUnread = 0;
    this.bridge = new Bridge({
      greet: () => this.tellReady(),
      hello: (detail) => this.greeted(detail),
      open: () => this.shown(true),
      close: () => this.shown(false),
      identity: (jwt) => this.session.setUser(jwt).catch(() => this.session.refuse({ code: "forbidden" })),
      scheme: (name) => this.paint(name),
      attributes: (values) => Object.assign(this.session.attributes, values),
      reset: () => this.session.reset(),
    });
    this.update = perFrame(() => this.render());
    this.listen();
  }

  listen() {
    const { session } = this;
    const on = (name, handler) => session.addEventListener(name, (event) => handler(event.detail));
    on("change", () => this.update());
    on("text", (message) => this.announcer.follow(message));
    on("finished", (message) => this.finished(message));
    on("opened", () => this.transcript.clear());
    on("problem", (text) => this.composer.complain(text));
    on("conversation", (id) => this.bridge.tell("conversation", Boolean(id)));
    on("asked", () => {
      this.transcript.isAtEnd = true;
      this.announcer.say(t("sending"));
      this.bridge.tell("message", { role: "user" });
    });
    addEventListener("keydown", (event) => this.key(event));
  }

  async start() {
    this.paint(query.get("scheme") ?? config.colorScheme ?? "auto");
    await setLocale(query.get("locale") ?? config.language ?? config.locale);
    await this.build();
    this.tellReady();
    // The page around says who is there before the first question can be asked.
    if (this.bridge.isFramed) await Promise.race([new Promise((go) => (this.go = go)), new Promise((go) => setTimeout(go, 1000))]);
    this.session.start();
    if (config.isPage && matchMedia("(pointer: fine)").matches) this.composer.focus();
  }

  async build() {
    this.announcer = new Announcer();
    const { session } = this;
    const actions = {
      ask: (text) => session.ask(text),
      resend: (message) => session.resend(message),
      regenerate: (message) => session.regenerate(message),
      edit: (message, text) => session.edit(message, text),
      select: (id) => session.select(id),
      feedback: (message, value, reason) => session.feedback(message, value, reason),
      handoff: () => this.handoff(),
      announce: (text) => this.announcer.say(text),
      refresh: () => this.update(),
    };
    this.transcript = new Transcript({ store: this.store, actions, welcome: () => this.welcome() });
    this.composer = new Composer({ storage: session.tab, onSend: actions.ask, onStop: () => session.stop() });
    this.banner = h("div", { class: "banner", role: "status", hidden: true });
    if (config.isPage) {
      const { claim, History } = await import("./history.js");
      await claim(session.identity); // before the history is listed
      this.History = History;
    }
    const main = h("main", { class: "chat" }, this.header(), this.banner, this.transcript.element, this.composer.element, this.announcer.element);
    root.replaceChildren(main);
    if (config.isPage) this.history = new this.History({ session, config, root, main });
  }

  header() {
    const status = h("p", { class: "status" });
    this.status = status;
    const initial = [...(config.name || "P")][0].toUpperCase();
    return h("header", { class: "chat-header" },
      config.isPage && this.History.button(() => this.history.toggle()),
      h("span", { class: "avatar", "aria-hidden": "true", text: initial }),
      h("div", { class: "who" }, h("h1", { text: config.name }), status),
      iconButton("person", t("person"), () => this.handoff()),
      iconButton("plus", t("newChat"), () => this.newChat()),
      !config.isPage && query.get("mode") !== "inline" && iconButton("close", t("close"), () => this.bridge.tell("close")));
  }

  welcome() {
    const starters = this.session.starters;
    return [
      h("div", { class: "hero" }, h("span", { class: "avatar large", "aria-hidden": "true" }, icon("chat")), h("p", { class: "greeting", text: inLanguage(config.greeting) || t("hello") })),
      starters.length > 0 && h("ul", { class: "starters", "aria-label": t("starters") },
        starters.map((text) => h("li", {}, h("button", { type: "button", on: { click: () => this.session.ask(text) } }, h("span", { text }), icon("right"))))),
    ].filter(Boolean);
  }

  render() {
    const { state } = this.session;
    this.transcript.render();
    this.composer.setAnswering(this.store.isAnswering);
    this.status.textContent = state === "connecting" ? t("connecting") : t("ready");
    this.status.dataset.state = state;
    const isTroubled = ["reconnecting", "offline", "refused"].includes(state);
    if (this.banner.dataset.state !== state) {
      this.banner.dataset.state = state;
      this.banner.replaceChildren(...(isTroubled ? this.trouble(state) : []));
      this.banner.hidden = !isTroubled;
    }
    this.history?.mark();
  }

  trouble(state) {
    const parts = [h("span", { text: t(state) })];
    if (state !== "refused") parts.push(h("button", { type: "button", class: "as-link", text: t("tryNow"), on: { click: () => this.session.connection.restart() } }));
    return parts;
  }

  finished(message) {
    this.announcer.finish(message);
    this.bridge.tell("message", { role: "assistant", id: message.id, outcome: message.outcome });
    if (this.isOpen) return;
    this.numUnread += 1;
    this.bridge.tell("unread", this.numUnread);
  }

  shown(isOpen) {
    this.isOpen = isOpen;
    if (!isOpen) return closePopover({ refocus: false });
    if (this.numUnread) this.bridge.tell("unread", (this.numUnread = 0));
    this.composer.focus();
    this.transcript.toEnd();
  }

  greeted(detail) {
    if (detail?.scheme) this.paint(detail.scheme);
    if (detail?.isOpen !== undefined) this.isOpen = detail.isOpen;
    if (detail?.isReset) this.session.reset();
    if (detail?.identity) this.session.setUser(detail.identity).catch(() => {});
    Object.assign(this.session.attributes, detail?.attributes);
    this.go?.();
  }

  tellReady() {
    this.bridge.tell("ready", { color: config.color, position: config.position });
  }

  newChat() {
    this.session.open(null);
    this.composer.focus();
  }

  async handoff() {
    const { handoffForm } = await import("./handoff.js");
    handoffForm({ onSend: (email) => this.session.handoff(email) });
  }

  key(event) {
    if (event.key === "Escape") return this.escape(event);
    const isTyping = event.target.closest?.("input, textarea, select, dialog");
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.composer.focus();
    }
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && this.history) {
      event.preventDefault();
      this.history.search();
    }
  }

  escape(event) {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (closePopover()) return;
    if (this.store.isAnswering) this.session.stop();
    else if (this.history?.isOpen) this.history.toggle(false);
    else this.bridge.tell("close");
  }

  paint(name) {
    document.documentElement.dataset.scheme = ["light", "dark"].includes(name) ? name : "auto";
  }
}

new App().start();
