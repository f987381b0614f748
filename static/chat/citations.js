// [1] in an answer becomes a chip that opens the article at its place and shows the quote meanwhile.

import { h, icon, safeUrl } from "./dom.js";
import { closePopover, openPopover } from "./popover.js";
import { t } from "./strings.js";

const address = (citation) => {
  const url = safeUrl(citation.url ?? "");
  if (url && citation.anchor && !url.hash) url.hash = citation.anchor;
  return url;
};

function card(citation) {
  return [h("strong", { text: citation.title }), citation.quote && h("q", { text: citation.quote })].filter(Boolean);
}

function chip(citation) {
  const url = address(citation);
  const label = t("source", citation);
  const link = h("a", { class: "cite", href: url?.href, target: "_blank", rel: "noopener", text: citation.number, "aria-label": `${label} (${t("newWindow")})` });
  const show = () => openPopover(link, card(citation), { role: "tooltip" });
  const hide = () => closePopover({ refocus: false });
  for (const name of ["mouseenter", "focus"]) link.addEventListener(name, show);
  for (const name of ["mouseleave", "blur"]) link.addEventListener(name, hide);
  return link;
}

/** Replaces the marks [1], [2]… in the text of `nodes`, outside code and links, by chips. */
export function addChips(nodes, citations) {
  if (!citations?.length) return;
  const byNumber = new Map(citations.map((citation) => [String(citation.number), citation]));
  for (const root of nodes) {
    const texts = [];
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = root.nodeType === Node.TEXT_NODE ? root : walker.nextNode(); node; node = walker.nextNode()) {
      if (/\[\d+\]/.test(node.data) && !node.parentElement?.closest("code, a, math")) texts.push(node);
    }
    for (const node of texts) {
      const parts = node.data.replace(/ (?=\[\d+\])/g, "\u00a0").split(/\[(\d+)\]/); // a chip never begins a line
      node.replaceWith(...parts.map((part, index) => (index % 2 === 0 ? part : byNumber.has(part) ? chip(byNumber.get(part)) : `[${part}]`)));
    }
  }
}

/** The articles that the text cites; the others that were read wait behind a button. */
export function sourceList(citations, text) {
  const cited = new Set([...text.matchAll(/\[(\d+)\]/g)].map((match) => match[1]));
  const isShown = (citation) => !cited.size || cited.has(String(citation.number));
  const rows = citations.map((citation) => {
    const url = address(citation);
    return h("li", { hidden: !isShown(citation) }, h("a", { href: url?.href, target: "_blank", rel: "noopener", title: citation.quote },
      h("span", { class: "cite", "aria-hidden": "true", text: citation.number }), h("span", { class: "source-title", text: citation.title }), h("span", { class: "hidden-text", text: ` (${t("newWindow")})` })));
  });
  const hidden = rows.filter((row) => row.hidden);
  const more = h("button", { type: "button", class: "more", "aria-label": t("moreSources", { n: hidden.length }), text: `+${hidden.length}` });
  more.addEventListener("click", () => {
    for (const row of hidden) row.hidden = false;
    hidden[0].firstChild.focus();
    more.parentElement.remove();
  });
  if (hidden.length) rows.push(h("li", {}, more));
  return h("nav", { class: "sources", "aria-label": t("sources") }, h("span", { class: "sources-title" }, icon("article"), t("sources")), h("ol", {}, rows));
}
