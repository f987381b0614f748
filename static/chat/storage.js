// What one browser keeps for one site. A frame whose storage the browser blocks keeps it in memory.

export function siteStorage(slug, area = "localStorage") {
  const memory = new Map();
  const prefix = `parley:${slug}:`;
  let store = null;
  try {
    store = window[area];
    store.setItem(`${prefix}probe`, "1");
    store.removeItem(`${prefix}probe`);
  } catch {
    store = null;
  }
  return {
    get(name) {
      const raw = store ? store.getItem(prefix + name) : memory.get(name);
      try {
        return raw ? JSON.parse(raw) : null;
      } catch {
        return null;
      }
    },
    set(name, value) {
      if (value === null || value === undefined) return this.remove(name);
      const raw = JSON.stringify(value);
      memory.set(name, raw);
      try {
        store?.setItem(prefix + name, raw);
      } catch {
        store = null; // full or forbidden: memory has it
      }
    },
    remove(name) {
      memory.delete(name);
      store?.removeItem(prefix + name);
    },
  };
}
