// On every page: copy buttons, the theme, `/` for search, relative times, menus that close.

const THEMES = ["system", "light", "dark"];
const THEME_KEY = "assay-theme";
const STEPS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/**
 * Return how long ago (or ahead) an instant is, in words.
 *
 * @param {number} seconds from now; negative is past
 * @returns {string}
 */
export function relativeWords(seconds) {
  for (const [unit, length] of STEPS) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return seconds > -60 && seconds <= 0 ? "just now" : "in a moment";
}

async function copy(button) {
  const before = button.dataset.words ?? button.textContent;
  button.dataset.words = before;
  try {
    await write(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied";
  }
  announce(button.textContent);
  setTimeout(() => {
    button.textContent = before;
  }, 2000);
}

async function write(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Pages over plain HTTP have no clipboard object; a selection can still be copied.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not copied");
}

function announce(words) {
  let region = document.getElementById("announcements");
  if (!region) {
    region = document.createElement("div");
    region.id = "announcements";
    region.className = "visually-hidden";
    region.setAttribute("role", "status");
    document.body.append(region);
  }
  region.textContent = words;
}

function readTheme() {
  try {
    const kept = localStorage.getItem(THEME_KEY);
    return THEMES.includes(kept) ? kept : "system";
  } catch {
    return "system"; // a browser that keeps nothing
  }
}

function showTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const button of document.querySelectorAll("[data-theme-switch]")) {
    button.textContent = `Theme: ${theme}`;
  }
}

function switchTheme() {
  const theme = THEMES[(THEMES.indexOf(readTheme()) + 1) % THEMES.length];
  try {
    localStorage.setItem(THEME_KEY, theme);
  } catch {
    // It holds for this page then.
  }
  showTheme(theme);
  announce(`Theme: ${theme}`);
}

function showTimes() {
  for (const time of document.querySelectorAll("time[datetime][data-relative]")) {
    const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
    if (Number.isNaN(seconds)) continue;
    let beside = time.nextElementSibling;
    if (!beside?.matches("[data-relative-words]")) {
      beside = document.createElement("span");
      beside.className = "muted";
      beside.setAttribute("data-relative-words", "");
      time.after(" ", beside);
    }
    beside.textContent = `(${relativeWords(seconds)})`;
  }
}

/**
 * Tell whether a text is more than somebody would type: a receipt, in one of its forms.
 *
 * @param {string} text
 * @returns {boolean}
 */
export function isReceipt(text) {
  const compact = /^[A-Za-z0-9_-]{200,}\.[A-Za-z0-9_-]{80,120}$/;
  return text.startsWith("{") || compact.test(text);
}

/** A search box keeps no line break and no long text: a receipt goes to the search by itself. */
function onPaste(event) {
  const text = event.clipboardData?.getData("text").trim() ?? "";
  if (!event.target.matches?.("[data-search], [data-paste]") || !isReceipt(text)) return;
  event.preventDefault();
  const form = document.createElement("form");
  const area = document.createElement("textarea");
  Object.assign(form, { method: "post", action: "/search/", hidden: true });
  Object.assign(area, { name: "q", value: text });
  form.append(area);
  document.body.append(form);
  form.submit();
}

function onKey(event) {
  if (event.key === "Escape") closeMenus(null);
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
  const search = document.querySelector("[data-search]") ?? document.querySelector("[type=search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu.contains(except)) continue;
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside && except === null) menu.querySelector("summary")?.focus();
  }
}

function onClick(event) {
  const button = event.target.closest?.("[data-copy], [data-theme-switch]");
  if (button?.matches("[data-copy]")) copy(button);
  if (button?.matches("[data-theme-switch]")) switchTheme();
  closeMenus(event.target);
}

if (globalThis.document) {
  showTheme(readTheme());
  showTimes();
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey);
  document.addEventListener("paste", onPaste);
  for (const more of ["htmx:load", "page:more"]) document.addEventListener(more, () => showTimes());
  setInterval(() => showTimes(), 60_000);
}
