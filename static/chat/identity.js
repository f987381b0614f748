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
    if (this.pending) return this.pending; // whoever is being vouched for speaks next, not who was before
    if (!fresh && this.kept && this.kept.until > Date.now() + EARLY_MS) return this.kept.token;
    return this.inTurn(() => this.renew());
  }

  /** One request at a time, or a late answer to an earlier one would make this somebody else again. */
  inTurn(work) {
    const done = (this.pending ?? Promise.resolve()).catch(() => {}).then(work);
    const pending = done.finally(() => this.pending === pending && (this.pending = null));
    return (this.pending = pending);
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
    let before;
    await this.inTurn(() => {
      before = this.kept?.visitor;
      return this.renew(jwt);
    });
    return Boolean(before) && before !== this.kept.visitor;
  }

  forget() {
    this.kept = null;
    this.storage.remove("visitor");
  }
}
