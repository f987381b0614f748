// Formulas, by KaTeX, as MathML: the browser draws it and a screen reader reads it, and no style
// attribute is needed, which the CSP would refuse. KaTeX is fetched with the first formula.

import "../vendor/katex-0.19.1/katex.min.js";

const OPTIONS = { output: "mathml", throwOnError: false, trust: false, strict: "ignore", maxSize: 12, maxExpand: 200 };

export function typeset(elements) {
  for (const element of elements) {
    const source = element.textContent;
    const html = globalThis.katex.renderToString(source, { ...OPTIONS, displayMode: element.classList.contains("block") });
    const fragment = globalThis.DOMPurify.sanitize(html, {
      USE_PROFILES: { mathMl: true, html: true },
      ADD_TAGS: ["semantics", "annotation"],
      FORBID_ATTR: ["style", "href", "src"],
      RETURN_DOM_FRAGMENT: true,
    });
    for (const note of fragment.querySelectorAll("annotation")) note.remove();
    if (element.classList.contains("block")) element.tabIndex = 0; // a long one scrolls
    element.replaceChildren(fragment);
  }
}
