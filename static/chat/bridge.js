// The way to the page around the frame. Only the parent window is heard, and only from the origin that
// framed us (our CSP's frame-ancestors decided who may); answers go to that origin and no other.

export class Bridge {
  constructor(handlers) {
    this.handlers = handlers;
    this.isFramed = window.parent !== window;
    this.origin = this.isFramed ? this.parentOrigin() : null;
    if (this.isFramed) addEventListener("message", (event) => this.hear(event));
  }

  parentOrigin() {
    if (location.ancestorOrigins?.length) return location.ancestorOrigins[0];
    try {
      return new URL(document.referrer).origin;
    } catch {
      return null; // learnt from the first greeting of the parent window
    }
  }

  hear(event) {
    if (event.source !== window.parent || event.data?.parley !== 1) return;
    this.origin ??= event.origin;
    if (event.origin !== this.origin) return;
    const { type, detail } = event.data;
    if (Object.hasOwn(this.handlers, type)) this.handlers[type](detail);
  }

  tell(type, detail = null) {
    if (this.isFramed && this.origin) window.parent.postMessage({ parley: 1, type, detail }, this.origin);
  }
}
