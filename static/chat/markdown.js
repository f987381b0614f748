// Model text becomes DOM: marked cuts it into blocks, DOMPurify lets through a short list of tags.
// Model text is hostile text: raw HTML is shown as text, an image is a link, a link says where it
// leads. Blocks that did not change keep their nodes, so a streaming answer repaints only its end.

import { Marked } from "../vendor/marked-17.0.5/marked.esm.js";
import "../vendor/dompurify-3.4.18/purify.min.js";
import { h, icon, safeUrl } from "./dom.js";
import { t } from "./strings.js";

const TAGS = "p br hr strong em del code pre blockquote ul ol li a span div table thead tbody tr th td h3 h4 h5 h6 sup sub".split(" ");
const CLASS = /^(language-[\w+#-]{1,30}|math|math block)$/;

const purifier = globalThis.DOMPurify(window);
purifier.addHook("uponSanitizeAttribute", (node, data) => {
  if (data.attrName === "class" && !CLASS.test(data.attrValue)) data.keepAttr = false;
});

const escapeText = (text) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);

function maths(name, level, start, rule) {
  return {
    name,
    level,
    start: (source) => source.match(start)?.index,
    tokenizer(source) {
      const match = rule.exec(source);
      if (match) return { type: name, raw: match[0], text: match[1] ?? match[2] ?? match[3] };
    },
    renderer: (token) => (level === "block" ? `<div class="math block">${escapeText(token.text)}</div>` : `<span class="math">${escapeText(token.text)}</span>`),
  };
}

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escapeText(text),
    image: ({ href, text }) => `<a href="${escapeText(href)}">${escapeText(`${t("image")}: ${text || href}`)}</a>`,
    heading({ tokens, depth }) {
      const level = Math.min(6, depth + 2);
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
  extensions: [
    maths("mathBlock", "block", /\$\$|\\\[/, /^(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])(?:\n|$)/),
    maths("mathInline", "inline", /\$|\\\(/, /^(?:\$\$([^$]+?)\$\$|\$(?!\s)((?:\\.|[^$\\\n])+?)(?<!\s)\$(?!\d)|\\\((.+?)\\\))/),
  ],
});

/** Closes what a half-written last line left open, so that `**bo` never flashes as stars. */
export function closeOpenMarks(text) {
  const start = text.lastIndexOf("\n\n") + 1;
  let tail = text.slice(start);
  if ((text.match(/^```/gm) ?? []).length % 2) return text;
  tail = tail.replace(/!?\[[^\]\n]*$|!?\[[^\]\n]*\]\([^)\n]*$/, (part) => (/^\[\d*$/.test(part) ? "" : part.replace(/^!?\[/, "").replace(/\].*$/, "")));
  for (const mark of ["**", "`"]) {
    if ((tail.split(mark).length - 1) % 2) tail = tail.endsWith(mark) ? tail.slice(0, -mark.length) : tail + mark;
  }
  return text.slice(0, start) + tail;
}

function sanitize(html) {
  return purifier.sanitize(html, { ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ["href", "class", "start", "align"], ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false, RETURN_DOM_FRAGMENT: true });
}

function openLinksElsewhere(root) {
  for (const link of root.querySelectorAll("a")) {
    const url = link.hasAttribute("href") && safeUrl(link.getAttribute("href"));
    if (!url) {
      link.replaceWith(...link.childNodes);
      continue;
    }
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    link.title = url.href;
    const host = url.origin === location.origin ? "" : url.host;
    if (host && !link.textContent.includes(host)) link.append(h("span", { class: "link-host", text: ` (${host})` }));
  }
}

function frameTables(root) {
  for (const table of root.querySelectorAll("table")) {
    const frame = h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": t("table") });
    table.replaceWith(frame);
    frame.append(table);
  }
}

function copyButton(code) {
  const button = h("button", { type: "button", class: "copy-code", "aria-label": t("copyCode") }, icon("copy"), h("span", { text: t("copy") }));
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.lastChild.textContent = t("copied");
    setTimeout(() => (button.lastChild.textContent = t("copy")), 1600);
  });
  return button;
}

function frameCode(root, isWhole) {
  for (const pre of root.querySelectorAll("pre")) {
    const code = pre.querySelector("code") ?? pre;
    const language = /language-([\w+#-]+)/.exec(code.className)?.[1] ?? "";
    const frame = h("figure", { class: "code" }, h("figcaption", {}, h("span", { text: language || "text" }), copyButton(code)));
    pre.replaceWith(frame);
    pre.tabIndex = 0;
    frame.append(pre);
    if (isWhole && language) import("./code.js").then((module) => module.highlight(code, language));
  }
}

function renderBlock(token, isWhole) {
  const fragment = sanitize(marked.parser([token]));
  openLinksElsewhere(fragment);
  frameTables(fragment);
  frameCode(fragment, isWhole);
  const formulas = fragment.querySelectorAll(".math");
  if (formulas.length) import("./maths.js").then((module) => module.typeset(formulas));
  return [...fragment.childNodes];
}

/** Shows markdown in `element`; called again with longer text it touches only the blocks that changed. */
export class MarkdownView {
  constructor(element, { decorate = () => {} } = {}) {
    this.element = element;
    this.decorate = decorate; // gets the fresh nodes of each block, e.g. to add citation chips
    this.blocks = [];
  }

  show(text, { isWhole = true, stamp = "" } = {}) {
    const tokens = marked.lexer(isWhole ? text : closeOpenMarks(text)).filter((token) => token.type !== "space");
    const keys = tokens.map((token, index) => `${stamp}|${isWhole || index < tokens.length - 1}|${token.raw}`);
    let same = 0;
    while (same < keys.length && this.blocks[same]?.key === keys[same]) same++;
    for (const block of this.blocks.splice(same)) for (const node of block.nodes) node.remove();
    for (let index = same; index < tokens.length; index++) {
      const nodes = renderBlock(tokens[index], isWhole || index < tokens.length - 1);
      this.element.append(...nodes);
      this.decorate(nodes);
      this.blocks.push({ key: keys[index], nodes });
    }
  }
}

export function plainText(markdown) {
  return sanitize(marked.parse(markdown)).textContent.replace(/\[\d+\]/g, "").replace(/\s+/g, " ").trim();
}
