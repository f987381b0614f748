// How an answer was made: model, cache, time, tokens, policies, in one line and in full.

import { h, icon } from "./dom.js";
import { openPopover } from "./popover.js";
import { duration, t } from "./strings.js";

const TIERS = { exact: "rExact", flight: "rFlight" };

const isCached = (receipt) => receipt.cache?.tier in TIERS;

function line(receipt) {
  const isTimed = receipt.total_ms !== undefined && receipt.total_ms !== null;
  const parts = [isTimed && h("span", { text: duration(receipt.total_ms / 1000) })];
  if (isCached(receipt)) parts.push(h("span", { text: t("fromCache") }));
  else if (receipt.model) parts.push(h("span", { class: "model", text: receipt.model }));
  return parts.filter(Boolean);
}

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

export function receiptButton(receipt) {
  const parts = line(receipt);
  if (!parts.length) return null;
  const button = h("button", { type: "button", class: "receipt", "aria-haspopup": "dialog", title: t("receipt") }, isCached(receipt) && icon("bolt"), parts);
  button.addEventListener("click", () => {
    const list = h("dl", { "data-tier": receipt.cache?.tier ?? "none" }, rows(receipt).map(([name, value]) => [h("dt", { text: name }), h("dd", { text: value })]));
    openPopover(button, [h("strong", { text: t("receipt") }), list], { label: t("receipt") });
  });
  return button;
}
