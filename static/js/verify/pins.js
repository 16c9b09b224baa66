// The documents that this browser believed at its last check, whole: what a check without a network
// falls back on, and what the server's words of today are compared with.
//
// The log's key, the witness policy and the checkpoint are remembered by `remembered.js`, which all
// pages share. Here are the bytes of the three documents, so that keys are not taken back in silence.

import { VerificationError } from "../assay/errors.js";

const NAME = "assay-pins";
const DOCUMENTS = Object.freeze(["trustedRoot", "policy", "keys"]);
const FIXED = Object.freeze(["role", "owner"]); // the fingerprint names the key
const PLACES = Object.freeze(["index", "log", "revoked", "revokedLog"]);

/** @typedef {{trustedRoot: string, policy: string, keys: string, at: string}} Pins texts of the
 *   documents, and when they were last believed (RFC 3339) */

/**
 * @param {Pick<Storage, "getItem"> | null} store
 * @returns {Pins | null}
 */
export function readPins(store) {
  try {
    const kept = JSON.parse(store?.getItem(NAME) ?? "null");
    return [...DOCUMENTS, "at"].every((name) => typeof kept?.[name] === "string") ? kept : null;
  } catch {
    return null; // not ours, or cut: as if nothing were kept
  }
}

/**
 * @param {Pick<Storage, "setItem"> | null} store
 * @param {Pins} pins
 * @returns {boolean} whether they were kept
 */
export function writePins(store, pins) {
  try {
    store.setItem(NAME, JSON.stringify(pins));
    return true;
  } catch {
    return false;
  }
}

/** @param {Pick<Storage, "removeItem"> | null} store */
export function forgetPins(store) {
  try {
    store?.removeItem(NAME);
  } catch {
    // A browser that keeps nothing has nothing to forget.
  }
}

/**
 * Check that a server which publishes keys takes nothing back: no key, no registration, no
 * revocation. Both documents were parsed.
 *
 * @param {string} before the text of keys.json that was believed
 * @param {string} now the text that is told today
 * @throws {VerificationError} it does
 */
export function checkKeysKept(before, now) {
  const today = new Map(JSON.parse(now).keys.map((key) => [key.fingerprint, key]));
  for (const key of JSON.parse(before).keys) {
    const told = today.get(key.fingerprint);
    const changed =
      !told ||
      FIXED.some((name) => told[name] !== key[name]) ||
      PLACES.some((name) => key[name] != null && told[name] !== key[name]);
    if (changed) {
      throw new VerificationError("the server takes back what it told this browser about a key", {
        expected: words(key),
        found: told ? words(told) : `no key ${key.fingerprint}`,
      });
    }
  }
}

function words(key) {
  const places = [...FIXED, ...PLACES].filter((name) => key[name] != null);
  return [key.fingerprint, ...places.map((name) => `${name} ${key[name]}`)].join(", ");
}
