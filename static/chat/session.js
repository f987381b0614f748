// One reader in one conversation: joins identity, socket and store, keeps what was not yet confirmed,
// and tells the screen when something changed. Everything a button does is a method here.

import { Connection } from "./connection.js";
import { Identity } from "./identity.js";
import { siteStorage } from "./storage.js";
import { Store } from "./store.js";
import { duration, inLanguage, locale, t } from "./strings.js";

const ACK_EVERY = 8; // events
const ACK_MS = 250;
const HANDOFF_MS = 15_000;

const newId = () => crypto.randomUUID?.() ?? "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (c) => (+c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (+c / 4)))).toString(16));

export class Session extends EventTarget {
  constructor(config) {
    super();
    this.config = config;
    this.storage = siteStorage(config.slug);
    this.tab = siteStorage(config.slug, "sessionStorage");
    this.identity = new Identity({ config, storage: this.storage });
    this.store = new Store();
    this.store.conversation = config.conversation ?? (config.isPage ? null : this.storage.get("conversation"));
    this.state = "connecting";
    this.attributes = {};
    this.outbox = this.tab.get("outbox") ?? [];
    this.numGaps = 0;
    this.unacked = 0;
    const base = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
    this.connection = new Connection({
      url: new URL(config.wsUrl ?? "/ws/chat/", base).href,
      hello: (options) => this.hello(options),
      onFrame: (frame) => this.receive(frame),
      onState: (state) => this.setState(state),
    });
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  start() {
    this.starters = inLanguage(this.config.starters) ?? [];
    this.showOutbox();
    if (!this.store.conversation) this.store.isLoaded = true;
    this.connection.start();
    this.emit("change");
  }

  setState(state) {
    this.state = state;
    this.emit("change");
  }

  async hello({ fresh }) {
    const { cursor, conversation, isLoaded } = this.store;
    this.isGreeted = false;
    return {
      type: "hello",
      conversation,
      cursor: isLoaded && conversation ? cursor : null,
      site: this.config.slug,
      token: await this.identity.token({ fresh }),
      scenario: this.config.scenario ?? "support",
      locale: locale(),
      attributes: this.attributes,
    };
  }

  // ── from the server ──
  receive(frame) {
    if (frame.type === "welcome") this.welcome(frame);
    else if (frame.type === "error") this.refuse(frame);
    else if (frame.type === "handed_over") this.settleHandoff(frame);
    else if (frame.type !== "pong") this.event(frame);
  }

  welcome(frame) {
    if (frame.conversation !== this.store.conversation) {
      this.store.conversation = frame.conversation;
      this.remember();
    }
    if (!this.store.cursor) this.store.cursor = frame.cursor ?? null;
    if (frame.starters?.length) this.starters = frame.starters;
    this.numGaps = frame.status === "up_to_date" ? 0 : this.numGaps;
    if (!this.isGreeted) queueMicrotask(() => this.flushOutbox());
    this.isGreeted = true; // a second welcome on this socket names the conversation just begun
  }

  remember() {
    if (!this.config.isPage) this.storage.set("conversation", this.store.conversation);
    this.emit("conversation", this.store.conversation);
  }

  event(frame) {
    const result = this.store.apply(frame);
    if (result === "gap") return this.catchUp();
    if (result === "old") return;
    this.numGaps = 0;
    this.acknowledge();
    if (frame.type === "snapshot") this.confirm(frame.messages.map((message) => message.client_id));
    if (frame.type === "message") this.confirm([frame.message.client_id]);
    if (frame.type === "title") this.emit("title", frame.title);
    if (frame.type === "finished") this.emit("finished", frame.message);
    if (frame.type === "delta" || frame.type === "retract") this.emit("text", this.store.messages.get(frame.message));
    this.emit("change", frame);
  }

  /** Something is missing: ask from the cursor; if that does not mend it, from the start. */
  catchUp() {
    if (++this.numGaps > 2) this.store.cursor = null;
    this.connection.restart();
  }

  acknowledge() {
    const ack = () => {
      clearTimeout(this.ackTimer);
      this.ackTimer = 0;
      this.unacked = 0;
      if (this.store.cursor) this.connection.send({ type: "ack", ...this.store.cursor });
    };
    if (++this.unacked >= ACK_EVERY) ack();
    else this.ackTimer ||= setTimeout(ack, ACK_MS);
  }

  async refuse(frame) {
    await import("./strings.more.js");
    const wait = frame.retry_after_s ? duration(Math.ceil(frame.retry_after_s)) : duration(5);
    const known = ["rate_limited", "overloaded", "too_large", "not_found", "forbidden"].includes(frame.code);
    const text = known ? t(`error_${frame.code}`, { wait }) : t("error_other");
    if (this.handoffs?.get(frame.client_id)) return this.settleHandoff({ ...frame, error: text });
    const isMine = frame.client_id && this.outbox.some((waiting) => waiting.client_id === frame.client_id);
    if (isMine && frame.code === "unavailable") {
      setTimeout(() => this.flushOutbox(), 1000 * (frame.retry_after_s ?? 5)); // nothing was kept: again
    } else if (isMine) {
      this.confirm([frame.client_id]);
      this.store.failLocal(frame.client_id, text);
    } else if (frame.code === "not_found" && !this.store.messages.size) {
      return this.open(null); // the conversation is gone: start a new one rather than stand still
    } else {
      this.emit("problem", text);
    }
    this.emit("change");
  }

  // ── what was asked and not yet confirmed ──
  post(frame) {
    this.outbox.push(frame);
    this.tab.set("outbox", this.outbox);
    this.connection.send(frame);
    if (!navigator.onLine) this.setState("offline");
    this.connection.wake();
  }

  confirm(clientIds) {
    const before = this.outbox.length;
    this.outbox = this.outbox.filter((frame) => !clientIds.includes(frame.client_id));
    if (this.outbox.length !== before) this.tab.set("outbox", this.outbox.length ? this.outbox : null);
  }

  flushOutbox() {
    for (const frame of this.outbox) this.connection.send(frame);
  }

  showOutbox() {
    for (const frame of this.outbox) {
      if (frame.type === "ask") this.store.addLocal({ text: frame.text, clientId: frame.client_id, parent: frame.parent });
    }
  }

  // ── what a reader can do ──
  ask(text, parent = this.store.leaf) {
    const clientId = newId();
    const known = this.store.messages.get(parent);
    this.store.addLocal({ text, clientId, parent });
    this.post({ type: "ask", client_id: clientId, text, parent: known && !known.isLocal ? parent : null });
    this.emit("asked", text);
    this.emit("change");
  }

  resend(message) {
    this.store.messages.delete(message.id);
    this.store.leaf = message.parent;
    this.ask(message.text, message.parent);
  }

  edit(message, text) {
    const clientId = newId();
    this.store.addLocal({ text, clientId, parent: message.parent });
    this.post({ type: "edit", message: message.id, text, client_id: clientId });
    this.emit("change");
  }

  stop() {
    if (this.store.turn?.id) this.connection.send({ type: "stop", turn: this.store.turn.id });
  }

  regenerate(message) {
    this.connection.send({ type: "regenerate", message: message.id, client_id: newId() });
  }

  select(id) {
    if (this.store.messages.has(id)) {
      this.store.leaf = this.store.end(id);
      this.emit("change");
    }
    this.connection.send({ type: "select", message: id });
  }

  feedback(message, value, reason) {
    message.feedback = value;
    this.connection.send({ type: "feedback", message: message.id, value, reason });
    this.emit("change");
  }

  handoff(email) {
    this.handoffs ??= new Map();
    const clientId = newId();
    if (!this.connection.send({ type: "handoff", email, client_id: clientId })) return Promise.reject(new Error(t("offline")));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(t("handoffFailed"))), HANDOFF_MS);
      this.handoffs.set(clientId, { resolve, reject, timer });
    });
  }

  settleHandoff(frame) {
    const waiting = this.handoffs?.get(frame.client_id);
    if (!waiting) return;
    clearTimeout(waiting.timer);
    this.handoffs.delete(frame.client_id);
    if (frame.error) waiting.reject(new Error(frame.error));
    else waiting.resolve(frame);
  }

  /** Shows another conversation, or with null a new one. */
  open(conversation) {
    this.outbox = [];
    this.tab.set("outbox", null);
    this.store.clear();
    this.store.conversation = conversation;
    this.store.isLoaded = !conversation;
    this.remember();
    this.emit("opened");
    this.connection.restart();
    this.emit("change");
  }

  /** The site vouches for a signed-in user. Somebody else's conversation never stays on the screen. */
  async setUser(jwt) {
    const isOther = await this.identity.assert(jwt);
    if (isOther) this.open(null);
    else this.connection.restart();
  }

  /** Forgets who asked and what was said, on this browser. */
  reset() {
    this.identity.forget();
    this.storage.remove("conversation");
    this.open(null);
  }
}
