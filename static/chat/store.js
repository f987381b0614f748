// What is known of one conversation: messages as a tree, the branch shown, the turn in progress, and
// the cursor. `apply` takes a frame of docs/protocol.md and says whether one was missed before it.

const ENDED = new Set(["done", "stopped", "interrupted", "failed"]);

export class Store {
  constructor() {
    this.clear();
  }

  clear() {
    this.conversation = null;
    this.title = "";
    this.messages = new Map();
    this.leaf = null;
    this.turn = null;
    this.cursor = null;
    this.isLoaded = false;
  }

  get isAnswering() {
    return Boolean(this.turn) && !ENDED.has(this.turn.state);
  }

  /** The messages of the branch shown, oldest first. */
  path() {
    const path = [];
    for (let id = this.leaf; id && this.messages.has(id); id = this.messages.get(id).parent) path.unshift(this.messages.get(id));
    return path;
  }

  /** The last message of the branch that goes through `id`: always the youngest child. */
  end(id) {
    const child = [...this.messages.values()].filter((message) => message.parent === id).at(-1);
    return child ? this.end(child.id) : id;
  }

  siblings(message) {
    const known = [...this.messages.values()].filter((other) => other.parent === message.parent && other.role === message.role);
    return [...new Set([...(message.siblings ?? []), ...known.map((other) => other.id)])];
  }

  /** "applied", "old" (seen before) or "gap" (an event is missing). */
  apply(frame) {
    if (frame.type === "snapshot") return this.load(frame);
    if (frame.seq === undefined) {
      this.handle(frame); // said to this client alone
      return "applied";
    }
    const { cursor } = this;
    if (cursor && (frame.epoch < cursor.epoch || (frame.epoch === cursor.epoch && frame.seq <= cursor.seq))) return "old";
    const expected = cursor && frame.epoch === cursor.epoch ? cursor.seq + 1 : 1;
    if (cursor && (frame.first_seq ?? frame.seq) !== expected) return "gap"; // deltas may come several in one
    this.cursor = { epoch: frame.epoch, seq: frame.seq };
    this.handle(frame);
    return "applied";
  }

  load(frame) {
    const mine = [...this.messages.values()].filter((message) => message.isLocal);
    this.messages = new Map(frame.messages.map((message) => [message.id, message]));
    this.leaf = frame.leaf ?? frame.messages.at(-1)?.id ?? null;
    this.cursor = frame.cursor ?? null;
    this.turn = frame.turn ?? null;
    if (frame.title) this.title = frame.title;
    const streaming = frame.messages.find((message) => message.state === "streaming");
    if (!this.turn && streaming) this.turn = { id: null, state: "generating", answer: streaming.id };
    const known = new Set(frame.messages.map((message) => message.client_id));
    for (const message of mine) if (!known.has(message.client_id)) this.add({ ...message, parent: this.leaf });
    this.isLoaded = true;
    return "applied";
  }

  add(message) {
    this.messages.set(message.id, message);
    this.leaf = message.id;
  }

  /** Shown at once, until the server's own copy comes back with the same client_id. */
  addLocal({ text, clientId, parent }) {
    this.add({ id: `local:${clientId}`, client_id: clientId, role: "user", parent, text, state: "sending", isLocal: true });
  }

  failLocal(clientId, error) {
    const message = this.messages.get(`local:${clientId}`);
    if (message) Object.assign(message, { state: "unsent", error });
    return message;
  }

  answer(id, question) {
    if (!this.messages.has(id)) {
      const leaf = this.messages.get(this.leaf);
      const parent = question ?? (leaf?.role === "assistant" ? leaf.parent : this.leaf);
      this.add({ id, role: "assistant", parent, text: "", state: "streaming", citations: [], receipt: {}, feedback: 0, siblings: [] });
    }
    return this.messages.get(id);
  }

  handle(frame) {
    const handler = this[`on_${frame.type}`];
    if (handler) handler.call(this, frame);
  }

  on_message({ message }) {
    const local = `local:${message.client_id}`;
    this.messages.delete(local);
    this.add(message);
  }

  on_turn({ turn, state, place, expected_wait_s, answer, parent }) {
    this.turn = { id: turn, state, place, expected_wait_s, answer: answer ?? (this.turn?.id === turn ? this.turn.answer : null) };
    if (!this.turn.answer) return;
    const message = this.answer(this.turn.answer, parent);
    if (ENDED.has(state) && state !== "done" && message.state === "streaming") message.state = state;
    if (!ENDED.has(state)) message.state = "streaming";
  }

  on_delta({ message, text }) {
    this.answer(message).text += text;
  }

  on_reset({ message }) {
    Object.assign(this.answer(message), { text: "", citations: [], state: "streaming", outcome: "" });
  }

  on_retract({ message, text, reason }) {
    Object.assign(this.answer(message), { text, state: "retracted", reason, citations: [] });
  }

  on_citations({ message, citations }) {
    this.answer(message).citations = citations;
  }

  on_finished({ message }) {
    const before = this.answer(message.id);
    this.messages.set(message.id, { ...before, ...message });
    if (this.turn?.answer === message.id && this.isAnswering) {
      this.turn = { ...this.turn, state: message.state === "complete" ? "done" : message.state };
    }
  }

  on_selected({ leaf }) {
    if (this.messages.has(leaf)) this.leaf = leaf;
  }

  on_title({ title }) {
    this.title = title;
  }
}
