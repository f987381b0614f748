// Parley's loader: one async script, one element.
//
//   <script async src="https://help.example/widget.js"></script>
//   <parley-chat site="demo"></parley-chat>
//
// or, before or after it has loaded: (window.parley = window.parley || []).push(["run", { site: "demo" }]);
//
// A shadow DOM holds the launcher and a frame of the server's origin; they talk by postMessage with that
// origin alone, never by the address. No inline style, no markup string: a strict CSP is fine.
(() => {
  "use strict";
  if (customElements.get("parley-chat")) return;

  const SCRIPT = document.currentScript?.src || document.querySelector('script[src*="/widget.js"]')?.src || location.href;
  const ORIGIN = new URL(SCRIPT).origin;
  const SVG = "http://www.w3.org/2000/svg";
  const ICONS = {
    chat: "M4 6a3 3 0 0 1 3-3h10a3 3 0 0 1 3 3v7a3 3 0 0 1-3 3h-5.5l-5 4.3c-.6.5-1.5.1-1.5-.7V15.8A3 3 0 0 1 4 13z",
    close: "M6 9.5l6 6 6-6",
  };
  const WORDS = {
    en: { open: "Open the chat", close: "Close the chat", frame: "Chat", unread: "new answers" },
    zh: { open: "打开聊天", close: "关闭聊天", frame: "聊天", unread: "条新回答" },
  };
  const ATTRIBUTES = ["site", "base-url", "locale", "position", "color-scheme", "inline", "color"];
  const CSS = `
    :host { --brand: var(--parley-color, #3b5bdb); --button: oklch(from var(--brand) min(l, .52) c h); all: initial; color-scheme: light dark; display: contents; }
    :host([inline]) { display: block; min-height: 480px; height: 620px; }
    .panel, .launcher { position: fixed; z-index: 2147483000; bottom: max(20px, env(safe-area-inset-bottom)); right: max(20px, env(safe-area-inset-right)); }
    .left .panel, .left .launcher { right: auto; left: max(20px, env(safe-area-inset-left)); }
    .launcher { width: 60px; height: 60px; padding: 0; border: 0; border-radius: 50%; cursor: pointer; color: #fff; background: var(--button);
      box-shadow: 0 2px 6px rgb(16 24 40 / .16), 0 10px 28px rgb(16 24 40 / .24); display: grid; place-items: center; transition: transform .18s cubic-bezier(.2, .8, .3, 1.2); }
    .launcher:hover { transform: scale(1.06); }
    .launcher:active { transform: scale(.96); }
    .launcher:focus-visible { outline: 3px solid #fff; outline-offset: -6px; box-shadow: 0 0 0 3px var(--button); }
    svg { grid-area: 1 / 1; width: 28px; height: 28px; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; transition: opacity .18s, transform .18s; }
    svg.chat { fill: currentColor; stroke: none; }
    .open svg.chat, :not(.open) > .launcher svg.close { opacity: 0; transform: scale(.5) rotate(30deg); }
    .badge { position: absolute; top: -3px; right: -3px; min-width: 22px; height: 22px; padding: 0 6px; box-sizing: border-box; border-radius: 99px; border: 2px solid #fff;
      background: #c4320a; color: #fff; font: 700 12px/18px ui-sans-serif, system-ui, sans-serif; text-align: center; }
    .badge[hidden], .panel[hidden] { display: none; }
    .panel { bottom: calc(max(20px, env(safe-area-inset-bottom)) + 74px); width: min(410px, calc(100vw - 40px)); height: min(690px, calc(100dvh - 122px)); border-radius: 20px; overflow: hidden;
      background: light-dark(#fff, #111318); box-shadow: 0 0 0 1px light-dark(rgb(16 24 40 / .08), rgb(255 255 255 / .14)), 0 18px 60px rgb(16 24 40 / .26); transform-origin: bottom right; animation: rise .22s cubic-bezier(.2, .8, .3, 1); }
    .left .panel { transform-origin: bottom left; }
    .inline { height: 100%; }
    .inline .panel { position: static; width: 100%; height: 100%; border-radius: 16px; animation: none; box-shadow: 0 0 0 1px rgb(16 24 40 / .12); }
    iframe { display: block; width: 100%; height: 100%; border: 0; background: transparent; }
    @keyframes rise { from { opacity: 0; transform: translateY(14px) scale(.97); } }
    @media (max-width: 520px), (max-height: 480px) {
      .launched .panel { inset: 0; width: 100vw; height: 100dvh; border-radius: 0; z-index: 2147483001; }
    }
    @media (prefers-reduced-motion: reduce) { *, .panel { animation: none; transition: none; } }
    @media (forced-colors: active) { .launcher, .panel { border: 2px solid ButtonText; } }
  `;

  const listeners = new Map();
  const state = { identity: null, attributes: {}, isReset: false }; // told to each frame that says it is ready
  let current = null; // the element that the functions of window.parley speak to

  function fire(name, detail) {
    for (const listener of listeners.get(name) ?? []) listener(detail);
    current?.dispatchEvent(new CustomEvent(`parley:${name}`, { detail, bubbles: true, composed: true }));
  }

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function icon(name) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("class", name);
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  }

  const session = {
    get: (name) => { try { return sessionStorage.getItem(`parley:${name}`); } catch { return null; } },
    set: (name, value) => { try { sessionStorage.setItem(`parley:${name}`, value); } catch { /* the page forbids it */ } },
  };

  class ParleyChat extends HTMLElement {
    static observedAttributes = ATTRIBUTES;

    constructor() {
      super();
      const shadow = this.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(CSS);
      shadow.adoptedStyleSheets = [sheet];
      this.hear = this.hear.bind(this);
      this.keyed = (event) => event.key === "Escape" && this.isOpen && !event.defaultPrevented && this.close();
      this.numUnread = 0;
      this.isOpen = false;
    }

    get site() { return this.getAttribute("site") || "demo"; }
    get origin() { return this.hasAttribute("base-url") ? new URL(this.getAttribute("base-url"), location.href).origin : ORIGIN; }
    get isInline() { return this.hasAttribute("inline"); }
    get words() { return WORDS[this.language.split("-")[0]] ?? WORDS.en; }
    get language() { return (this.getAttribute("locale") || document.documentElement.lang || navigator.language || "en").toLowerCase(); }

    connectedCallback() {
      current = this;
      addEventListener("message", this.hear);
      document.addEventListener("keydown", this.keyed);
      this.draw();
      this.dress();
    }

    disconnectedCallback() {
      removeEventListener("message", this.hear);
      document.removeEventListener("keydown", this.keyed);
      this.frame = null;
      if (current === this) current = null;
    }

    attributeChangedCallback(name, before, after) {
      if (!this.isConnected || !this.box || before === after) return;
      if (name === "color-scheme") this.tell("scheme", after || "auto");
      else if (name === "position" || name === "color") this.look({});
      else this.draw();
    }

    draw() {
      const wasOpen = this.isOpen;
      this.frame = null;
      this.isReady = false;
      this.isOpen = false;
      this.panel = make("div", { class: "panel", role: this.isInline ? "region" : "dialog", "aria-label": this.words.frame });
      this.badge = make("span", { class: "badge", "aria-hidden": "true" });
      this.badge.hidden = true;
      this.launcher = make("button", { class: "launcher", type: "button", "aria-expanded": "false" }, icon("chat"), icon("close"), this.badge);
      this.launcher.addEventListener("click", () => this.toggle());
      for (const name of ["pointerenter", "focus"]) this.launcher.addEventListener(name, () => this.load(), { once: true });
      this.box = make("div", { part: "box" }, ...(this.isInline ? [this.panel] : [this.panel, this.launcher]));
      this.shadowRoot.replaceChildren(this.box);
      this.panel.hidden = !this.isInline;
      this.look({});
      this.label();
      if (this.isInline) this.load();
      else if (wasOpen || session.get(`${this.site}:open`) === "1") this.open({ isQuiet: true });
      else if (session.get(`${this.site}:talks`) === "1") this.load(); // so that a late answer shows as unread
    }

    /** The site's colour and side, as its owner set them; attributes on the element win. */
    async dress() {
      try {
        this.look(await (await fetch(`${this.origin}/widget/config/${encodeURIComponent(this.site)}.json`, { credentials: "omit" })).json());
      } catch { /* the page's CSP forbids it or we are offline: the defaults stand */ }
    }

    look({ color, position }) {
      const paint = this.getAttribute("color") || color;
      if (paint) this.style.setProperty("--parley-color", paint);
      this.side = this.getAttribute("position") || position || this.side || "right";
      this.box.className = [this.side === "left" ? "left" : "right", this.isInline ? "inline" : "launched", this.isOpen ? "open" : ""].join(" ").trim();
      const scheme = this.getAttribute("color-scheme");
      this.style.setProperty("color-scheme", scheme === "light" || scheme === "dark" ? scheme : "light dark");
    }

    label() {
      const text = this.isOpen ? this.words.close : this.words.open;
      this.launcher.setAttribute("aria-label", this.numUnread ? `${text}, ${this.numUnread} ${this.words.unread}` : text);
      this.launcher.setAttribute("aria-expanded", String(this.isOpen));
      this.badge.textContent = this.numUnread > 9 ? "9+" : String(this.numUnread);
      this.badge.hidden = !this.numUnread;
    }

    load() {
      if (this.frame) return;
      const url = new URL(`/widget/frame/${encodeURIComponent(this.site)}/`, this.origin);
      url.searchParams.set("locale", this.language);
      if (this.isInline) url.searchParams.set("mode", "inline");
      if (this.hasAttribute("color-scheme")) url.searchParams.set("scheme", this.getAttribute("color-scheme"));
      this.frame = make("iframe", { src: url.href, title: this.words.frame, allow: "clipboard-write" });
      this.frame.addEventListener("load", () => this.tell("greet")); // it may not know yet who framed it
      this.panel.append(this.frame);
    }

    tell(type, detail = null) {
      this.frame?.contentWindow?.postMessage({ parley: 1, type, detail }, this.origin);
    }

    hear(event) {
      if (!this.frame || event.source !== this.frame.contentWindow || event.origin !== this.origin || event.data?.parley !== 1) return;
      const { type, detail } = event.data;
      if (type === "ready") this.greet(detail);
      else if (type === "close") this.close();
      else if (type === "unread") this.unread(detail);
      else if (type === "conversation") session.set(`${this.site}:talks`, detail ? "1" : "");
      else if (type === "message") fire("message", detail);
    }

    greet(detail) {
      this.look(detail);
      if (this.isReady) return;
      this.isReady = true;
      this.tell("hello", { isOpen: this.isOpen || this.isInline, ...state });
      state.isReset = false;
      if (this.isOpen) this.tell("open");
      fire("ready", { site: this.site });
    }

    unread(count) {
      this.numUnread = count;
      this.label();
      fire("unread", count);
    }

    toggle() { if (this.isOpen) this.close(); else this.open(); }

    open({ isQuiet = false } = {}) {
      if (this.isInline || this.isOpen) return;
      this.isOpen = true;
      this.load();
      this.panel.hidden = false;
      this.look({});
      this.label();
      session.set(`${this.site}:open`, "1");
      if (!isQuiet) {
        this.frame.focus();
        this.tell("open");
      }
      fire("opened");
    }

    close() {
      if (this.isInline || !this.isOpen) return;
      this.isOpen = false;
      this.panel.hidden = true;
      this.look({});
      this.label();
      session.set(`${this.site}:open`, "");
      this.tell("close");
      this.launcher.focus({ preventScroll: true });
      fire("closed");
    }
  }

  const set = (name, value) => {
    if (value === undefined || value === null || value === false) current?.removeAttribute(name);
    else current?.setAttribute(name, value === true ? "" : String(value));
  };

  const api = {
    run({ site = "demo", baseUrl, locale, position, colorScheme, color, inline, identity } = {}) {
      const start = () => {
        const target = typeof inline === "string" ? document.querySelector(inline) : inline instanceof Element ? inline : null;
        const element = document.querySelector("parley-chat") ?? make("parley-chat");
        const values = { site, "base-url": baseUrl, locale, position, "color-scheme": colorScheme, color, inline: Boolean(inline) };
        for (const [name, value] of Object.entries(values)) if (value) element.setAttribute(name, value === true ? "" : value);
        // Beside <body>, not in it: a client-side navigation that swaps the body leaves the chat alone.
        if (!element.isConnected) (target ?? document.documentElement).append(element);
        if (identity) api.setUser(identity);
      };
      if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start, { once: true });
      else start();
    },
    toggle: () => current?.toggle(),
    open: () => current?.open(),
    close: () => current?.close(),
    setUser(jwt) { state.identity = jwt; current?.tell("identity", jwt); },
    setLocale: (locale) => set("locale", locale),
    setColorScheme: (scheme) => set("color-scheme", scheme),
    setCustomAttributes(values) { Object.assign(state.attributes, values); current?.tell("attributes", values); },
    reset() {
      Object.assign(state, { identity: null, attributes: {}, isReset: !current?.isReady });
      current?.load();
      if (current?.isReady) current.tell("reset");
      current?.unread(0);
    },
    on(name, listener) {
      listeners.set(name, [...(listeners.get(name) ?? []), listener]);
      if (name === "ready" && current?.isReady) listener({ site: current.site });
    },
    push(...calls) { for (const [name, ...values] of calls) if (Object.hasOwn(api, name)) api[name](...values); },
  };

  const waiting = Array.isArray(window.parley) ? window.parley : [];
  window.parley = api;
  customElements.define("parley-chat", ParleyChat);
  api.push(...waiting);
})();
