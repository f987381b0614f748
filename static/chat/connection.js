// The socket: hello first, a heartbeat, jittered back-off, and a fresh try when the network or the
// reader comes back. It knows frames only by their type; what they mean is the session's business.

const PING_MS = 25_000;
const PATIENCE_MS = 8_000; // silence after a ping that counts as a dead line
const BACKOFF_MS = { first: 400, most: 4_000 }; // back within five seconds of a restart
const FINAL = new Set([4400, 4403]); // coming back with the same words would end the same way

export class Connection {
  /** `hello({ fresh })` makes the first frame (a promise); `onFrame(frame)`, `onState(state)` are told. */
  constructor({ url, hello, onFrame, onState }) {
    Object.assign(this, { url, hello, onFrame, onState });
    this.socket = null;
    this.isWanted = false;
    this.isWelcome = false;
    this.isExpired = false;
    this.numFailures = 0;
    this.timers = { retry: 0, ping: 0, silence: 0 };
    addEventListener("online", () => this.wake());
    addEventListener("offline", () => this.isWanted && this.onState("offline"));
    addEventListener("focus", () => this.wake());
    document.addEventListener("visibilitychange", () => document.hidden || this.wake());
  }

  start() {
    this.isWanted = true;
    this.connect();
  }

  stop() {
    this.isWanted = false;
    this.drop();
  }

  /** Says hello again, at once, on a new socket. */
  restart() {
    this.drop();
    this.numFailures = 0;
    this.start();
  }

  send(frame) {
    if (!this.isWelcome || this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  drop() {
    for (const timer of Object.values(this.timers)) clearTimeout(timer);
    const old = this.socket;
    this.socket = null;
    this.isWelcome = false;
    old?.close(1000);
  }

  connect() {
    this.drop();
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.timers.silence = setTimeout(() => this.lost(socket, 0), PATIENCE_MS * 2);
    socket.onopen = () => this.greet(socket);
    socket.onmessage = (event) => socket === this.socket && this.receive(JSON.parse(event.data));
    socket.onclose = (event) => this.lost(socket, event.code);
  }

  async greet(socket) {
    try {
      const frame = await this.hello({ fresh: this.isExpired });
      if (socket !== this.socket) return;
      this.isExpired = false;
      socket.send(JSON.stringify(frame));
    } catch {
      this.lost(socket, 0);
    }
  }

  receive(frame) {
    clearTimeout(this.timers.silence);
    if (frame.type === "welcome") {
      this.isWelcome = true;
      this.numFailures = 0;
      this.beat();
    }
    this.onFrame(frame);
    if (frame.type === "welcome") this.onState("online");
  }

  beat() {
    clearTimeout(this.timers.ping);
    this.timers.ping = setTimeout(() => this.ping(PATIENCE_MS), PING_MS);
  }

  ping(patienceMs) {
    const { socket } = this;
    if (!this.send({ type: "ping" })) return;
    clearTimeout(this.timers.silence);
    this.timers.silence = setTimeout(() => this.lost(socket, 0), patienceMs);
    this.beat();
  }

  /** The reader or the network is back: see whether the line still is. */
  wake() {
    if (!this.isWanted) return;
    if (this.isWelcome) this.ping(PATIENCE_MS / 2);
    else if (!this.socket) this.connect();
  }

  lost(socket, code) {
    if (socket !== this.socket) return;
    this.drop();
    if (!this.isWanted) return;
    if (FINAL.has(code)) {
      this.isWanted = false;
      this.onState("refused");
      return;
    }
    this.isExpired = code === 4401;
    const most = Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** this.numFailures++);
    const waitMs = (code === 4429 ? 5_000 : 0) + most * (0.5 + Math.random() / 2);
    this.timers.retry = setTimeout(() => this.connect(), waitMs);
    this.onState(navigator.onLine ? (this.numFailures > 4 ? "offline" : "reconnecting") : "offline");
  }
}
