// What a message shows when it is asked: its receipt in full, the reasons behind a thumb, an editor.

import { addStyle, h } from "./dom.js";
import { closePopover, openPopover } from "./popover.js";
import { duration, t } from "./strings.js";
import "./strings.more.js";

await addStyle("details.css");

const REASONS = ["reasonWrong", "reasonMissing", "reasonSource", "reasonUnclear"];
const TIERS = { exact: "rExact", flight: "rFlight" };

function cacheText({ cache }) {
  const tier = t(TIERS[cache?.tier] ?? "rNone");
  return TIERS[cache?.tier] && cache.age_s ? t("rAge", { tier, age: duration(cache.age_s) }) : tier;
}

function rows(receipt) {
  const ms = (value) => value !== undefined && value !== null && duration(value / 1000);
  const { completion_tokens: completion, prompt_tokens: prompt, cached_tokens: cached, tokens_per_s: speed } = receipt;
  return [
    [t("rModel"), [receipt.model, receipt.quantization].filter(Boolean).join(", ")],
    [t("rCache"), cacheText(receipt)],
    [t("rFirst"), ms(receipt.ttft_ms)],
    [t("rTotal"), ms(receipt.total_ms)],
    [t("rTokens"), completion && t("rTokensValue", { completion, prompt: prompt ?? 0 })],
    [t("rReused"), cached && t("rReusedValue", { cached, prompt })],
    [t("rSpeed"), speed && t("rSpeedValue", { speed: Math.round(speed) })],
    [t("rPolicies"), (receipt.policies ?? []).join(", ")],
  ].filter(([, value]) => value);
}

export function showReceipt(button, receipt) {
  const list = h("dl", { "data-tier": receipt.cache?.tier ?? "none" }, rows(receipt).map(([name, value]) => [h("dt", { text: name }), h("dd", { text: value })]));
  openPopover(button, [h("strong", { text: t("receipt") }), list], { label: t("receipt") });
}

export function askReason(anchor, onReason) {
  const other = h("textarea", { rows: "2", maxlength: "400", placeholder: t("reasonOther"), "aria-label": t("reasonOther") });
  const choices = REASONS.map((key) => h("label", { class: "choice" }, h("input", { type: "radio", name: "reason", value: key }), h("span", { text: t(key) })));
  const form = h("form", { class: "reasons" }, h("strong", { text: t("whatWrong") }), choices, other, h("button", { class: "button small", text: t("submit") }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const key = new FormData(form).get("reason");
    closePopover();
    onReason([key && t(key), other.value.trim()].filter(Boolean).join(": "));
  });
  openPopover(anchor, form, { label: t("whatWrong") });
}

/** Edits `text` inside `body`; `done(text)` to ask again with it, `done(null)` to leave it. */
export function editor(body, text, done) {
  const field = h("textarea", { rows: "3", "aria-label": t("editLabel"), dir: "auto" });
  field.value = text;
  const save = () => done(field.value.trim() || null);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") done(null);
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) save();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  body.replaceChildren(h("div", { class: "editor" }, field, h("div", { class: "row" },
    h("button", { type: "button", class: "button quiet small", text: t("cancel"), on: { click: () => done(null) } }),
    h("button", { type: "button", class: "button small", text: t("save"), on: { click: save } }))));
  field.focus();
  field.setSelectionRange(text.length, text.length);
}
