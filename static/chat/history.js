// The list of one's own conversations beside the chat page: search, open, rename, export, delete.

import "./details.js"; // its styles
import { h, icon, iconButton, PATHS } from "./dom.js";
import { closePopover, openPopover } from "./popover.js";
import { locale, t } from "./strings.js";
import "./strings.more.js";

const DAY_MS = 86_400_000;

Object.assign(PATHS, {
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l4.5 4.5",
  menu: "M4 7h16M4 12h16M4 17h10",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  download: "M12 4v11m0 0-4.5-4.500M12 15l4.5-4.500M5 20h14",
});

/** After sign-in: what this browser asked as a visitor goes along to the account. */
export async function claim(identity) {
  const { config, kept } = identity;
  if (!config.user || !kept) return;
  const headers = { "Content-Type": "application/json", "X-CSRFToken": config.csrfToken };
  await fetch(`${config.apiBase}/visitor/claim`, { method: "POST", headers, body: JSON.stringify({ token: kept.token }) });
  identity.forget();
}

/** Fetches from the API as whoever this is; a token that ran out meanwhile is renewed once. */
async function request(identity, path, { method = "GET", body, fresh = false } = {}) {
  const headers = {};
  const token = await identity.token({ fresh });
  if (token) headers.Authorization = `Visitor ${token}`;
  else headers["X-CSRFToken"] = identity.config.csrfToken ?? "";
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(identity.config.apiBase + path, { method, headers, body: body && JSON.stringify(body) });
  if (response.status === 401 && token && !fresh) return request(identity, path, { method, body, fresh: true });
  if (!response.ok) throw Object.assign(new Error(`${path}: ${response.status}`), { status: response.status });
  return response;
}

export class History {
  constructor({ session, config, root, main }) {
    Object.assign(this, { session, config, main });
    this.items = [];
    this.next = null;
    this.field = h("input", { type: "search", placeholder: t("search"), "aria-label": t("searchHistory"), "aria-keyshortcuts": "Control+K Meta+K" });
    this.list = h("div", { class: "history-list" });
    this.isOpen = false;
    this.element = h("aside", { class: "history", "aria-label": t("history"), id: "history" },
      h("div", { class: "history-top" }, h("a", { class: "wordmark", href: "/" }, icon("chat"), h("span", { text: config.name })), iconButton("close", t("closeHistory"), () => this.toggle(false), { class: "icon-button menu-button" })),
      h("button", { type: "button", class: "button new-chat", on: { click: () => this.openOne(null) } }, icon("plus"), t("newChat")),
      h("label", { class: "search" }, icon("search"), this.field, h("kbd", { "aria-hidden": "true", text: /Mac|iP/.test(navigator.platform) ? "⌘K" : "Ctrl K" })),
      this.list,
      this.foot());
    root.prepend(this.element);
    this.scrim = h("div", { class: "scrim", on: { click: () => this.toggle(false) } });
    root.append(this.scrim);
    let timer = 0;
    this.field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.load(), 200);
    });
    session.addEventListener("finished", () => this.load());
    session.addEventListener("title", () => this.load());
    session.addEventListener("conversation", (event) => this.address(event.detail));
    addEventListener("popstate", () => this.session.open(this.fromAddress()));
    this.load();
  }

  /** The button in the chat's header that opens the drawer on a phone. */
  static button(onClick) {
    return iconButton("menu", t("openHistory"), onClick, { class: "icon-button menu-button", "aria-expanded": "false", "aria-controls": "history" });
  }

  foot() {
    const { user } = this.config;
    return h("div", { class: "history-foot" }, user ? h("a", { href: "/accounts/email/" }, icon("person"), h("span", { text: user })) : h("a", { href: "/accounts/login/?next=/chat/" }, icon("person"), h("span", { text: t("signIn") })));
  }

  fromAddress() {
    return /\/chat\/([\w-]+)/.exec(location.pathname)?.[1] ?? null;
  }

  address(id) {
    if (id === this.fromAddress()) return;
    if (id && !this.fromAddress()) history.replaceState(null, "", `/chat/${id}/`);
    else history.pushState(null, "", id ? `/chat/${id}/` : "/chat/");
  }

  toggle(isOpen = !this.isOpen) {
    this.isOpen = isOpen;
    document.documentElement.classList.toggle("history-open", isOpen);
    const button = this.main.querySelector(".menu-button");
    button.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.field.focus();
    else button.focus();
  }

  search() {
    if (getComputedStyle(this.main.querySelector(".menu-button")).display !== "none" && !this.isOpen) this.toggle(true);
    this.field.focus();
    this.field.select();
  }

  openOne(id) {
    if (id !== this.session.store.conversation || !id) this.session.open(id);
    if (this.isOpen) this.toggle(false);
    this.main.querySelector("textarea")?.focus();
  }

  async load(cursor = null) {
    const query = new URLSearchParams({ q: this.field.value.trim() });
    if (cursor) query.set("cursor", cursor);
    try {
      const page = await (await request(this.session.identity, `/conversations?${query}`)).json();
      this.items = cursor ? [...this.items, ...page.items] : page.items;
      this.next = page.next ?? null;
    } catch {
      return; // the list is a comfort; the banner tells of a lost connection
    }
    this.render();
  }

  group(item) {
    const midnight = new Date().setHours(0, 0, 0, 0);
    const time = new Date(item.updated ?? item.updated_at).getTime();
    if (time >= midnight) return t("today");
    if (time >= midnight - DAY_MS) return t("yesterday");
    return t(time >= midnight - 7 * DAY_MS ? "week" : "older");
  }

  render() {
    const groups = new Map();
    for (const item of this.items) groups.set(this.group(item), [...(groups.get(this.group(item)) ?? []), item]);
    const sections = [...groups].map(([name, items]) => h("section", {}, h("h2", { text: name }), h("ul", {}, items.map((item) => this.row(item)))));
    if (!sections.length) sections.push(h("p", { class: "quiet-text", text: t(this.field.value ? "noMatch" : "noHistory") }));
    if (this.next) sections.push(h("button", { type: "button", class: "button quiet small", text: t("more"), on: { click: () => this.load(this.next) } }));
    this.list.replaceChildren(...sections);
    this.mark();
  }

  row(item) {
    const title = item.title || t("untitled");
    const link = h("a", { href: `/chat/${item.id}/`, "data-id": item.id, title, text: title, lang: /[\u4e00-\u9fff]/.test(title) ? "zh" : locale() });
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.openOne(item.id);
    });
    const options = h("button", { type: "button", class: "icon-button", "aria-label": t("options", { title }), "aria-haspopup": "dialog" }, h("span", { "aria-hidden": "true", text: "⋯" }));
    options.addEventListener("click", () => openPopover(options, this.menu(item, title), { label: t("options", { title }) }));
    return h("li", {}, link, options);
  }

  menu(item, title) {
    const name = h("input", { type: "text", maxlength: "200", "aria-label": t("rename") });
    name.value = title;
    const form = h("form", { class: "rename" }, name, h("button", { class: "button small", text: t("rename") }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.act(item, { method: "PATCH", body: { title: name.value.trim() } });
    });
    const remove = h("button", { type: "button", class: "menu-item danger" }, icon("trash"), h("span", { text: t("remove") }));
    remove.addEventListener("click", () => {
      if (remove.dataset.isSure) this.act(item, { method: "DELETE" });
      remove.dataset.isSure = "1";
      remove.lastChild.textContent = t("removeSure");
    });
    return [form,
      ...["md", "json"].map((format) => h("button", { type: "button", class: "menu-item", on: { click: () => this.export(item, format) } }, icon("download"), `${t("export")} (${format === "md" ? "Markdown" : "JSON"})`)),
      remove];
  }

  async act(item, options) {
    closePopover();
    try {
      await request(this.session.identity, `/conversations/${item.id}`, options);
    } catch {
      return this.session.emit("problem", t("error_other"));
    }
    if (options.method === "DELETE" && item.id === this.session.store.conversation) this.openOne(null);
    return this.load();
  }

  async export(item, format) {
    closePopover();
    const response = await request(this.session.identity, `/conversations/${item.id}/export?format=${format}`);
    const link = h("a", { href: URL.createObjectURL(await response.blob()), download: `${(item.title || "conversation").replace(/[^\p{L}\p{N} _-]/gu, "")}.${format}` });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  mark() {
    for (const link of this.list.querySelectorAll("a")) {
      if (link.dataset.id === this.session.store.conversation) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }
}
