// One small card at a time: a citation's quote, a receipt, the reasons behind a thumb.

import { h } from "./dom.js";

let open = null;

export function closePopover({ refocus = true } = {}) {
  if (!open) return false;
  const { card, anchor } = open;
  open = null;
  card.remove();
  anchor.removeAttribute("aria-expanded");
  anchor.removeAttribute("aria-describedby");
  if (refocus && (card.contains(document.activeElement) || document.activeElement === document.body)) anchor.focus();
  return true;
}

/** Puts `content` beside `anchor`. A "tooltip" goes with the pointer, a "dialog" takes the focus. */
export function openPopover(anchor, content, { role = "dialog", label } = {}) {
  const isSame = open?.anchor === anchor && open.role === role;
  closePopover({ refocus: false });
  if (isSame && role === "dialog") return null;
  const card = h("div", { class: `popover ${role}`, role, id: "popover", "aria-label": label, tabindex: role === "dialog" ? "-1" : null }, content);
  document.body.append(card);
  open = { card, anchor, role };
  if (role === "dialog") {
    anchor.setAttribute("aria-expanded", "true");
    (card.querySelector("input, textarea, button") ?? card).focus({ preventScroll: true });
  } else {
    anchor.setAttribute("aria-describedby", "popover");
  }
  place(card, anchor.getBoundingClientRect());
  return card;
}

function place(card, target) {
  const gap = 8;
  const { offsetWidth: width, offsetHeight: height } = card; // untouched by the opening animation
  const left = Math.min(Math.max(gap, target.left + target.width / 2 - width / 2), innerWidth - width - gap);
  const above = target.top - height - gap;
  card.style.left = `${left}px`;
  card.style.top = `${above >= gap ? above : Math.min(target.bottom + gap, innerHeight - height - gap)}px`;
}

addEventListener("pointerdown", (event) => {
  if (open && !open.card.contains(event.target) && !open.anchor.contains(event.target)) closePopover({ refocus: false });
});
addEventListener("resize", () => closePopover());
