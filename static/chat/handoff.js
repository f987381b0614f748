// "Talk to a person": an address, and the conversation goes to the people behind the site.

import "./details.js"; // its styles
import { h } from "./dom.js";
import { t } from "./strings.js";
import "./strings.more.js";

export function handoffForm({ onSend }) {
  const field = h("input", { type: "email", name: "email", required: true, maxlength: "254", autocomplete: "email", placeholder: "name@example.com", id: "handoff-email" });
  const problem = h("p", { class: "problem", role: "alert" });
  const dialog = h("dialog", { class: "sheet", "aria-labelledby": "handoff-title" });
  const form = h("form", {},
    h("h2", { id: "handoff-title", text: t("handoffTitle") }),
    h("p", { class: "quiet-text", text: t("handoffText") }),
    h("label", { for: "handoff-email", text: t("email") }), field, problem,
    h("div", { class: "row" },
      h("button", { type: "button", class: "button quiet", text: t("cancel"), on: { click: () => dialog.close() } }),
      h("button", { class: "button", text: t("handoffSend") })));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button.button:not(.quiet)");
    button.disabled = true;
    try {
      await onSend(field.value.trim());
      form.replaceChildren(h("p", { role: "status", text: t("handoffDone", { email: field.value.trim() }) }), h("button", { type: "button", class: "button", text: "OK", on: { click: () => dialog.close() } }));
      form.querySelector("button").focus();
    } catch (error) {
      problem.textContent = error.message || t("handoffFailed");
      button.disabled = false;
    }
  });
  dialog.append(form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  field.focus();
}
