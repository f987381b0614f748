// Who asks: a visitor with a short-lived token, a user the site vouches for (signed JWT), or a user
// of ours with a session cookie, who needs no token at all. Tokens travel in bodies and headers only.

const EARLY_MS = 60_000; // renewed a minute before it runs out

export class Identity {
  constructor({ config, storage }) {
    this.config = config;
    this.storage = storage;
    this.kept = storage.get("visitor");
    this.pending = null;
  }

  /** The token for hello and for the API; null for a signed-in user of ours. */
  async token({ fresh = false } = {}) {
    if (this.config.user) return null;
    if (!fresh && this.kept && this.kept.until > Date.now() + EARLY_MS) return this.kept.token;
    this.pending ??= this.renew().finally(() => (this.pending = null));
    return this.pending;
  }

  async renew(jwt = null) {
    const headers = { "Content-Type": "application/json" };
    if (this.kept) headers.Authorization = `Visitor ${this.kept.token}`; // the same visitor, renewed
    const body = { site: this.config.slug };
    if (jwt) body.identity = jwt;
    const response = await fetch(`${this.config.apiBase}/visitor`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!response.ok) {
      if (response.status === 401 && this.kept && !jwt) {
        this.forget(); // a token from before a reset of the server: start over as somebody new
        return this.renew();
      }
      throw Object.assign(new Error(`visitor: ${response.status}`), { status: response.status });
    }
    const { token, visitor, expires_s } = await response.json();
    this.kept = { token, visitor, until: Date.now() + expires_s * 1000 };
    this.storage.set("visitor", this.kept);
    return token;
  }

  /** Takes the site's word for who this is. True if it is somebody else than before. */
  async assert(jwt) {
    const before = this.kept?.visitor;
    await this.renew(jwt);
    return Boolean(before) && before !== this.kept.visitor;
  }

  /** After sign-in: what this browser asked as a visitor goes along to the account. */
  async claim() {
    if (!this.config.user || !this.kept) return;
    const headers = { "Content-Type": "application/json", "X-CSRFToken": this.config.csrfToken };
    await fetch(`${this.config.apiBase}/visitor/claim`, { method: "POST", headers, body: JSON.stringify({ token: this.kept.token }) });
    this.forget();
  }

  forget() {
    this.kept = null;
    this.storage.remove("visitor");
  }

  async request(path, { method = "GET", body, fresh = false } = {}) {
    const headers = {};
    const token = await this.token({ fresh });
    if (token) headers.Authorization = `Visitor ${token}`;
    else headers["X-CSRFToken"] = this.config.csrfToken ?? "";
    if (body) headers["Content-Type"] = "application/json";
    const response = await fetch(this.config.apiBase + path, { method, headers, body: body && JSON.stringify(body) });
    if (response.status === 401 && token && !fresh) return this.request(path, { method, body, fresh: true });
    if (!response.ok) throw Object.assign(new Error(`${path}: ${response.status}`), { status: response.status });
    return response;
  }
}
