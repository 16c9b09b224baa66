// The signing keys of this browser: P-256, not extractable, several per publisher.
//
// A key can be exported for one moment only, inside `makeKey`, to be wrapped for its backup; what
// is stored and signs is a second import that nobody can export. Any script of this origin could
// use a stored key: the content security policy is what protects it.

import { webCrypto } from "./assay/digests.js";
import { P256, signEnvelope, verifyEnvelope } from "./assay/dsse.js";
import { unwrapKey, wrapKey } from "./key-backup.js";

/**
 * @typedef {import("./key-store.js").KeyRecord} KeyRecord
 * @typedef {import("./key-store.js").KeyStore} KeyStore
 * @typedef {import("./key-backup.js").Backup} Backup
 */

/**
 * Say why this page cannot make keys or sign, or return "" when it can.
 *
 * @returns {string}
 */
export function signingProblem() {
  try {
    webCrypto();
  } catch (error) {
    return error.message;
  }
  return globalThis.indexedDB ? "" : "This browser keeps no data (IndexedDB), so no key either.";
}

/**
 * Make a key, wrap its backup, store the key so that it can never be exported again.
 *
 * @param {KeyStore} store
 * @param {{owner: string, name: string, passphrase: string, iterations?: number, now?: Date}}
 *   options
 * @returns {Promise<KeyRecord>}
 * @throws {import("./assay/errors.js").MisuseError} a short passphrase, or no WebCrypto here
 */
export async function makeKey(store, options) {
  const { owner, name, passphrase, iterations, now = new Date() } = options;
  const subtle = webCrypto();
  const pair = await subtle.generateKey(P256, true, ["sign", "verify"]);
  const spki = new Uint8Array(await subtle.exportKey("spki", pair.publicKey));
  const backup = await wrapKey(pair.privateKey, { owner, name, spki, passphrase, iterations });
  // Unwrapping what was just wrapped also shows that the backup can be read.
  const { privateKey } = await unwrapKey(backup, passphrase);
  const record = {
    ...{ fingerprint: backup.fingerprint, owner, name, spki, privateKey, backup },
    proved: false,
    createdAt: now.toISOString(),
  };
  await store.put(record);
  askToPersist();
  return record;
}

/**
 * Bring a key back from its backup; for a key that is here already, this proves the backup.
 *
 * @param {KeyStore} store
 * @param {Backup} backup as `parseBackup` returns it
 * @param {string} passphrase
 * @param {Date} [now]
 * @returns {Promise<KeyRecord>}
 * @throws {import("./assay/errors.js").VerificationError} another passphrase, or an altered file
 */
export async function restoreKey(store, backup, passphrase, now = new Date()) {
  const { privateKey, spki } = await unwrapKey(backup, passphrase);
  const here = await store.get(backup.fingerprint);
  const { owner, name } = here ?? backup;
  const record = {
    ...{ fingerprint: backup.fingerprint, owner, name, spki, privateKey, backup },
    proved: true,
    createdAt: here?.createdAt ?? now.toISOString(),
  };
  await store.put(record);
  askToPersist();
  return record;
}

/**
 * Return this browser's keys, newest first; those of one owner when given.
 *
 * @param {KeyStore} store
 * @param {string} [owner]
 * @returns {Promise<KeyRecord[]>}
 */
export async function listKeys(store, owner = "") {
  const records = await store.all();
  return records
    .filter((record) => !owner || record.owner === owner)
    .sort((left, right) => right.createdAt.localeCompare(left.createdAt));
}

/**
 * Sign `payload` with a stored key, check the envelope against the key's public half, return it.
 *
 * @param {KeyRecord} record
 * @param {Uint8Array} payload an in-toto statement
 * @returns {Promise<import("./assay/dsse.js").EnvelopeJson>}
 */
export async function sign(record, payload) {
  const envelope = await signEnvelope(payload, record.privateKey);
  await verifyEnvelope(envelope, record.spki);
  return envelope;
}

/** Ask the browser to keep the keys; its answer may never come, so nobody waits for it. */
function askToPersist() {
  globalThis.navigator?.storage?.persist?.()?.catch?.(() => {});
}
