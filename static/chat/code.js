// Colours code, by a language module fetched the first time it is met.

import hljs from "../vendor/highlight.js-11.12.0/core.min.js";
import { addStyle } from "./dom.js";

addStyle("code.css");

const MODULES = new Set("bash cpp csharp css diff dockerfile go ini java javascript json nginx php python rust shell sql typescript xml yaml".split(" "));
const ALIASES = {
  sh: "bash", zsh: "bash", console: "shell", py: "python", js: "javascript", jsx: "javascript", mjs: "javascript", ts: "typescript",
  tsx: "typescript", html: "xml", svg: "xml", yml: "yaml", toml: "ini", cfg: "ini", conf: "nginx", "c++": "cpp", c: "cpp", h: "cpp",
  cs: "csharp", "c#": "csharp", rs: "rust", golang: "go", patch: "diff", postgresql: "sql", dockerfile: "dockerfile",
};
const MAX_LENGTH = 20_000;

export async function highlight(code, name) {
  const language = ALIASES[name.toLowerCase()] ?? name.toLowerCase();
  const source = code.textContent;
  if (!MODULES.has(language) || source.length > MAX_LENGTH) return;
  if (!hljs.getLanguage(language)) {
    const module = await import(`../vendor/highlight.js-11.12.0/languages/${language}.min.js`);
    hljs.registerLanguage(language, module.default);
  }
  const { value } = hljs.highlight(source, { language, ignoreIllegals: true });
  // Only spans with its own classes come out of the highlighter; the purifier holds it to that.
  const fragment = globalThis.DOMPurify.sanitize(value, { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"], RETURN_DOM_FRAGMENT: true });
  if (code.textContent === source) code.replaceChildren(fragment);
}
