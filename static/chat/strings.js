// What the chat says. English is here; another language is one module beside this file, loaded when
// it is asked for. `t` takes a key and fills {names}; a missing translation falls back to English.

const LANGUAGES = { zh: "./strings.zh-hans.js" };

const english = {
  placeholder: "Ask a question…",
  messageLabel: "Your question",
  send: "Send",
  stop: "Stop answering",
  close: "Close the chat",
  newChat: "New chat",
  person: "Talk to a person",
  hello: "How can I help?",
  starters: "Suggested questions",
  transcript: "Conversation",
  you: "You",
  assistant: "Assistant",
  latest: "To the latest message",
  ready: "Answers with sources",
  connecting: "Connecting…",
  reconnecting: "Connection lost. Reconnecting…",
  offline: "You are offline. What you send waits here until you are back.",
  refused: "This chat is not available on this page.",
  tryNow: "Try now",
  sending: "Sending…",
  unsent: "Not sent.",
  queued: "Waiting for a free place…",
  queuedPlace: "Place {place} in the queue",
  queuedWait: "Place {place} in the queue, about {wait}",
  screening: "Reading your question…",
  searching: "Searching the articles…",
  generating: "Writing…",
  thinking: "Thinking…",
  stopped: "Stopped.",
  interrupted: "The answer was interrupted.",
  failed: "The answer could not be made.",
  retry: "Try again",
  retracted: "Part of this answer was withdrawn.",
  refusedOffer: "A person can look into this for you.",
  copy: "Copy",
  copied: "Copied",
  copyCode: "Copy code",
  good: "Good answer",
  bad: "Bad answer",
  regenerate: "Answer again",
  edit: "Edit and ask again",
  previous: "Previous version",
  next: "Next version",
  version: "Version {index} of {total}",
  sources: "Sources",
  source: "Source {number}: {title}",
  moreSources: "Show {n} more sources",
  newWindow: "opens in a new window",
  image: "Image",
  table: "Table",
  receipt: "How this answer was made",
  fromCache: "from cache",
  answerDone: "Answer complete.",
  announceStop: "The answer was stopped.",
  tooLong: "That is too long to send ({length} of {most} characters).",
  milliseconds: "{n} ms",
  seconds: "{n} s",
  minutes: "{n} min",
  hours: "{n} h",
  days: "{n} d",
};

export const LONGEST = 8000; // characters of one question

let words = english;
let current = "en";
const learnt = [];

export const locale = () => current;

/** The reader's language out of {"en": …, "zh-hans": …}, else the first there is. */
export function inLanguage(values) {
  if (!values || typeof values === "string" || Array.isArray(values)) return values;
  const language = current.split("-")[0];
  const name = Object.keys(values).find((key) => key.toLowerCase().startsWith(language)) ?? Object.keys(values)[0];
  return values[name];
}

export async function setLocale(name) {
  const language = String(name || "en").toLowerCase().split("-")[0];
  const module = LANGUAGES[language];
  words = module ? { ...english, ...(await import(module)).default } : english;
  current = module ? "zh-Hans" : "en";
  for (const more of learnt) words = { ...words, ...more[language] };
  document.documentElement.lang = current;
}

/** Adds words: { en: {key: text}, zh: … }. */
export function learn(more) {
  learnt.push(more);
  Object.assign(english, more.en);
  words = { ...words, ...more[current.split("-")[0]] };
}

export function t(key, values = {}) {
  return (words[key] ?? english[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** 0.004 → "4 ms", 0.43 → "0.4 s", 95 → "2 min", 7200 → "2 h", in the reader's language. */
export function duration(seconds) {
  const number = (value, digits = 0) => new Intl.NumberFormat(current, { maximumFractionDigits: digits }).format(value);
  if (seconds < 0.1) return t("milliseconds", { n: number(Math.max(1, seconds * 1000)) });
  if (seconds < 60) return t("seconds", { n: number(seconds, seconds < 10 ? 1 : 0) });
  if (seconds < 3600) return t("minutes", { n: number(seconds / 60) });
  if (seconds < 86400) return t("hours", { n: number(seconds / 3600) });
  return t("days", { n: number(seconds / 86400) });
}
