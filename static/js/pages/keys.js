// /settings/keys/: the keys of this browser beside those that the server has registered.

import { request } from "../api.js";
import { byId, digestElement, el, guarded, showError } from "../dom.js";
import { parseBackup } from "../key-backup.js";
import { revocationForm, rotationForm } from "../key-forms.js";
import { openKeyStore } from "../key-store.js";
import { listKeys, restoreKey, signingProblem } from "../keys.js";
import { bindMakeKey, downloadBackup } from "../make-key-form.js";
import { fetchCopy, keepCopy, registerKey, registeredKeys } from "../registration.js";

const main = document.querySelector("main[data-page=keys]");
const owner = main?.dataset.owner ?? "";
let store;

async function show() {
  const list = byId("browser-keys");
  if (!list) return;
  const records = await listKeys(store);
  const registered = await registeredOf([owner, ...records.map((record) => record.owner)]);
  showRegistered([...registered.values()].filter((key) => key.owner === owner));
  const here = new Set(records.map(({ fingerprint }) => fingerprint));
  const absent = [...registered.values()].filter((key) => !here.has(key.fingerprint));
  const none = el("p", {}, "No key in this browser. Make one, or restore one.");
  const items = records.map((record) => itemOf(record, registered));
  list.replaceChildren(
    items.length ? el("ul", { class: "item-list" }, ...items) : none,
    el("p", { class: "small muted" }, "This browser may forget keys: keep their backup files."),
    ...(await restorable(absent)),
  );
}

/** Return what is registered for all these owners, by fingerprint. */
async function registeredOf(owners) {
  const each = [...new Set(owners)].filter(Boolean);
  const maps = await Promise.all(each.map((name) => registeredKeys(request, name)));
  return new Map(maps.flatMap((map) => [...map]));
}

/** Return a form for each registered key that is not here and of which the server has a copy. */
async function restorable(keys) {
  const usable = keys.filter((key) => key.state === "registered" && isCopyKept(key));
  const copies = await Promise.all(usable.map((key) => fetchCopy(request, key)));
  return copies.filter((copy) => copy !== null).map(copyForm);
}

/** The server's list says so: to ask for a copy that is not there would be an error. */
function isCopyKept({ fingerprint }) {
  return document.querySelector(`${serverItem({ fingerprint })}[data-copy-kept]`) !== null;
}

function serverItem({ fingerprint }) {
  return `#registered-keys li[data-fingerprint="${fingerprint}"]`;
}

/** Add what was registered since the server made its list. */
function showRegistered(keys) {
  const fresh = keys.filter((key) => document.querySelector(serverItem(key)) === null);
  const box = byId("registered-keys");
  if (fresh.length === 0 || !box) return;
  if (!box.querySelector("ul")) box.replaceChildren(el("ul", { class: "item-list" }));
  const items = fresh.map(({ fingerprint, name }) => {
    const link = { class: "key-chip", href: `/keys/${fingerprint}/` };
    const chip = el("a", link, el("span", {}, name), el("code", {}, fingerprint));
    return el("li", { "data-fingerprint": fingerprint }, chip);
  });
  box.querySelector("ul").append(...items);
}

function copyForm(backup) {
  const id = `copy-${backup.fingerprint.slice(0, 16)}`;
  const field = el("input", { type: "password", id, required: true, autocomplete: "off" });
  const words = "Restore from the server's copy";
  const button = el("button", { type: "submit", class: "button" }, words);
  const submit = (event) => {
    event.preventDefault();
    void guarded(button, "keys-error", () => restore(backup, field.value));
  };
  return el(
    "form",
    { class: "stack stack-sm", autocomplete: "off", onsubmit: submit },
    el("label", { for: id }, `Passphrase of "${backup.name}", which is not in this browser`),
    field,
    button,
  );
}

async function restore(backup, passphrase) {
  const restored = await restoreKey(store, backup, passphrase);
  await show();
  say(`The key "${restored.name}" is here, and its backup is proved.`);
}

function itemOf(record, registered) {
  const state = registered.get(record.fingerprint)?.state;
  return el(
    "li",
    { class: "stack stack-sm", "data-fingerprint": record.fingerprint },
    el(
      "p",
      { class: "cluster" },
      el("strong", {}, record.name),
      digestElement(record.fingerprint, "fingerprint"),
    ),
    el("p", { class: "meta" }, ...wordsOf(record, state).map((word) => el("span", {}, word))),
    el("p", { class: "cluster" }, ...actionsOf(record, state)),
    ...formsOf(record, state),
  );
}

function wordsOf(record, state) {
  return [
    `signs for ${record.owner}`,
    state ?? "not registered",
    record.proved ? "backup proved" : "backup not tried yet",
  ];
}

function actionsOf(record, state) {
  const register = async () => {
    await registerKey(request, record);
    location.reload(); // the server's list changes too
  };
  const copy = async () => {
    await keepCopy(request, record);
    document.querySelector(serverItem(record))?.setAttribute("data-copy-kept", "");
    say("The server holds a copy of the wrapped key. It cannot open it without the passphrase.");
  };
  const remove = async () => {
    await store.delete(record.fingerprint);
    await show();
  };
  const mine = record.owner === owner;
  const good = state === "registered";
  return [
    !state && mine ? action("Register", register, "button primary") : null,
    action("Download the backup", async () => downloadBackup(record)),
    good ? action("Leave a copy with the server", copy) : null,
    twice("Remove from this browser", "Remove it: only the backup is left then", remove),
  ].filter(Boolean);
}

function formsOf(record, state) {
  const done = () => location.reload(); // the server's list changes too
  // The server lists the keys that are the reader's to change: those of organisations too.
  if (state !== "registered" || !document.querySelector(serverItem(record))) return [];
  return [rotationForm(store, record, done), revocationForm(record, done)];
}

/** Return a button that asks once more before it acts. */
function twice(words, question, run) {
  let asked = false;
  const button = action(
    words,
    async () => {
      if (asked) await run();
      asked = true;
      button.textContent = question;
    },
    "button danger",
  );
  button.addEventListener("blur", () => {
    asked = false;
    button.textContent = words;
  });
  return button;
}

function action(words, run, className = "button") {
  const onclick = () => guarded(button, "keys-error", run);
  const button = el("button", { type: "button", class: className, onclick }, words);
  return button;
}

function say(words) {
  const list = byId("browser-keys");
  const line = list?.querySelector("[data-said]") ?? el("p", { "data-said": true });
  line.textContent = words;
  list?.append(line);
}

function bindRestore() {
  const form = byId("restore-key");
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    void guarded(form.querySelector("button"), "restore-error", async () => {
      const { file, passphrase } = form.elements;
      const backup = await parseBackup(await file.files[0].text());
      await restore(backup, passphrase.value);
      form.reset();
    });
  });
}

async function start() {
  const problem = signingProblem();
  if (problem) throw new Error(problem);
  store = await openKeyStore();
  bindMakeKey(store, owner, show);
  bindRestore();
  await show();
}

start().catch((error) => {
  byId("browser-keys")?.replaceChildren(el("p", {}, "This browser cannot keep keys now."));
  showError(error, "keys-error");
});
