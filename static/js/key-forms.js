// Two forms beside a key of this browser: replace it by a new one, revoke it with a reason.

import { request } from "./api.js";
import { el, guarded } from "./dom.js";
import { makeKey } from "./keys.js";
import { downloadBackup } from "./make-key-form.js";
import { revokeKey, rotateKey } from "./registration.js";

/**
 * Return a folded form that makes a new key and lets it take the place of `record`.
 *
 * @param {import("./key-store.js").KeyStore} store
 * @param {import("./key-store.js").KeyRecord} record
 * @param {() => void} done called once the registry has taken it
 * @returns {HTMLElement}
 */
export function rotationForm(store, record, done) {
  const id = `rotate-${record.fingerprint.slice(0, 16)}`;
  const name = field(`${id}-name`, "Name of the new key", { value: record.name, maxlength: 80 });
  const passphrase = field(`${id}-passphrase`, "Passphrase for its backup file", {
    type: "password",
    minlength: 8,
    autocomplete: "new-password",
  });
  const words =
    "A new key is made here and both keys sign that it goes on. What this key signs from then on " +
    "counts for nothing; what it signed before stays good.";
  return folded("Replace it by a new key", words, [name, passphrase], "Replace it", async () => {
    const next = await makeKey(store, {
      owner: record.owner,
      name: name.input.value.trim(),
      passphrase: passphrase.input.value,
    });
    downloadBackup(next);
    await rotateKey(request, record, next);
    done();
  });
}

/**
 * Return a folded form that revokes `record`.
 *
 * @param {import("./key-store.js").KeyRecord} record
 * @param {() => void} done called once the registry has taken it
 * @returns {HTMLElement}
 */
export function revocationForm(record, done) {
  const id = `revoke-${record.fingerprint.slice(0, 16)}`;
  const reason = field(`${id}-reason`, "Reason, for everybody to read", { maxlength: 300 });
  const words = "For good: it can never sign again. What it signed before stays good.";
  return folded("Revoke it", words, [reason], "Revoke it for good", async () => {
    await revokeKey(request, record, reason.input.value.trim());
    done();
  });
}

function field(id, words, attributes) {
  const fixed = { type: "text", id, required: true, autocomplete: "off" };
  const input = el("input", { ...fixed, ...attributes });
  return { input, whole: el("div", { class: "field" }, el("label", { for: id }, words), input) };
}

function folded(summary, words, fields, verb, run) {
  const danger = verb.startsWith("Revoke") ? "button danger" : "button";
  const button = el("button", { type: "submit", class: danger }, verb);
  const onsubmit = (event) => {
    event.preventDefault();
    void guarded(button, "keys-error", run);
  };
  const parts = [el("p", { class: "small" }, words), ...fields.map(({ whole }) => whole), button];
  const form = el("form", { class: "stack stack-sm", autocomplete: "off", onsubmit }, ...parts);
  return el("details", {}, el("summary", {}, summary), form);
}
