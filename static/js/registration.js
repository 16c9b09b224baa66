// A browser key becomes a publisher's key: its `key` statement, signed by itself, goes to the log.

import { ApiError, path } from "./api.js";
import { keyStatement } from "./assay/statements.js";
import { backupFromCopy, serverCopy } from "./key-backup.js";
import { sign } from "./keys.js";

/**
 * @typedef {import("./api.js").Request} Request
 * @typedef {import("./key-store.js").KeyRecord} KeyRecord
 * @typedef {{fingerprint: string, state: string, owner: string, name: string, public_key: string}}
 *   RegisteredKey
 */

/**
 * Register `record` for its owner.
 *
 * @param {Request} request
 * @param {KeyRecord} record
 * @returns {Promise<RegisteredKey>}
 */
export async function registerKey(request, record) {
  const envelope = await claim(request, record, "register");
  return request("POST", "keys", { json: { envelope, name: record.name } });
}

/**
 * Return the text by which an admin registers `record` for their organisation. It holds no secret.
 *
 * @param {Request} request
 * @param {KeyRecord} record
 * @returns {Promise<string>}
 */
export async function registrationRequest(request, record) {
  const envelope = await claim(request, record, "register");
  return JSON.stringify({ envelope, name: record.name });
}

/**
 * Let `next` take the place of `record`: one statement, which both keys sign.
 *
 * @param {Request} request
 * @param {KeyRecord} record
 * @param {KeyRecord} next
 * @returns {Promise<RegisteredKey>}
 */
export async function rotateKey(request, record, next) {
  const observed = await newestCheckpoint(request);
  const fields = { observed, owner: record.owner, previous: record.fingerprint };
  const payload = await keyStatement({ ...fields, action: "supersede" }, next.spki);
  const [envelope, previous] = [await sign(next, payload), await sign(record, payload)];
  const address = path("keys", record.fingerprint, "rotation");
  return request("POST", address, { json: { envelope, previous, name: next.name } });
}

/**
 * Revoke `record`: what it signs later counts for nothing, what it signed before stays good.
 *
 * @param {Request} request
 * @param {KeyRecord} record
 * @param {string} reason for everybody to read
 * @returns {Promise<RegisteredKey>}
 */
export async function revokeKey(request, record, reason) {
  const envelope = await claim(request, record, "revoke");
  const address = path("keys", record.fingerprint, "revocation");
  return request("POST", address, { json: { envelope, reason } });
}

/**
 * Return the keys that are registered for `owner`, by fingerprint.
 *
 * @param {Request} request
 * @param {string} owner
 * @returns {Promise<Map<string, RegisteredKey>>}
 */
export async function registeredKeys(request, owner) {
  const found = new Map();
  let cursor = "";
  do {
    const query = new URLSearchParams({ owner, ...(cursor && { cursor }) });
    const { items, next } = await request("GET", `keys?${query}`);
    for (const key of items) found.set(key.fingerprint, key);
    cursor = next ?? "";
  } while (cursor);
  return found;
}

/**
 * Leave a copy of the wrapped key with the server; the passphrase stays here.
 *
 * @param {Request} request
 * @param {KeyRecord} record
 */
export async function keepCopy(request, { fingerprint, backup }) {
  await request("PUT", path("keys", fingerprint, "backup"), { json: serverCopy(backup) });
}

/**
 * Return the backup that the server keeps of a registered key, null when it has none.
 *
 * @param {Request} request
 * @param {RegisteredKey} key
 * @returns {Promise<import("./key-backup.js").Backup | null>}
 */
export async function fetchCopy(request, key) {
  try {
    const copy = await request("GET", path("keys", key.fingerprint, "backup"));
    return await backupFromCopy(copy, key);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

async function newestCheckpoint(request) {
  const { origin, size, root } = await request("GET", "ledger/head");
  return { origin, treeSize: size, rootHash: root };
}

async function claim(request, record, action) {
  const observed = await newestCheckpoint(request);
  const payload = await keyStatement({ observed, owner: record.owner, action }, record.spki);
  return sign(record, payload);
}
