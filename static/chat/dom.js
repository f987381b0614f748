// Small helpers over the DOM: elements, icons, one paint per frame. No markup strings anywhere, so
// a page with Trusted Types or a strict CSP needs no exception.

const SVG = "http://www.w3.org/2000/svg";

export const PATHS = {
  chat: "M4 5.5A2.5 2.5 0 0 1 6.5 3h11A2.5 2.5 0 0 1 20 5.5v8a2.5 2.5 0 0 1-2.5 2.5H11l-4.6 4.2c-.5.4-1.4.1-1.4-.6V16A2.5 2.5 0 0 1 4 13.7z",
  close: "M6 6l12 12M18 6 6 18",
  send: "M12 19V5m0 0-6 6m6-6 6 6",
  stop: "M7 7h10v10H7z",
  copy: "M9 9h10v11H9zM5 15V4h10",
  check: "M5 12.5l4.5 4.5L19 7.5",
  redo: "M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6",
  edit: "M4 20h4L19 9l-4-4L4 16z",
  up: "M7 11v9H4v-9zm0 0 4-8c1.6 0 2.5 1.2 2.2 2.8L12.7 9H18a2 2 0 0 1 2 2.3l-1.2 7A2 2 0 0 1 16.8 20H7",
  down: "M7 13V4H4v9zm0 0 4 8c1.6 0 2.5-1.2 2.2-2.8L12.7 15H18a2 2 0 0 0 2-2.3l-1.2-7A2 2 0 0 0 16.8 4H7",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  plus: "M12 5v14M5 12h14",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c1-4 4-5.5 7.5-5.5s6.5 1.5 7.5 5.5",
  bolt: "M13 3 5 14h6l-1 7 8-11h-6z",
  article: "M6 3h9l4 4v14H6zM9 11h7M9 15h7",
  arrow: "M12 5v14m0 0 6-6m-6 6-6-6",
  retry: "M4 13a8 8 0 1 0 2.3-6.300M4 4v6h6",
};

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    else if (name === "text") element.textContent = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

export function iconButton(name, label, onClick, props = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, on: { click: onClick }, ...props }, icon(name));
}

/** Runs `task` at the next paint, once, however often it was asked for; in a hidden tab by a timer. */
export function perFrame(task) {
  let isWaiting = false;
  return () => {
    if (isWaiting) return;
    isWaiting = true;
    const run = () => {
      isWaiting = false;
      task();
    };
    if (document.hidden) setTimeout(run, 100);
    else requestAnimationFrame(run);
  };
}

export const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A link of ours or of the web; anything else (javascript:, data:) is null. */
export function safeUrl(value) {
  try {
    const url = new URL(value, location.origin);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

/** Fetches a style sheet that lies beside this module; resolves when it applies. */
export function addStyle(name) {
  return new Promise((resolve) => document.head.append(h("link", { rel: "stylesheet", href: new URL(name, import.meta.url).href, on: { load: resolve, error: resolve } })));
}
