// SHA-256 values: one spelling (64 lower-case hex digits), one way to compute small ones.

import { FormatError, MisuseError } from "./errors.js";

const HEX = /^[0-9a-f]{64}$/;

/**
 * Return WebCrypto, which browsers give to HTTPS pages and to localhost only.
 *
 * @returns {SubtleCrypto}
 * @throws {MisuseError} this page has none
 */
export function webCrypto() {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) {
    throw new MisuseError(
      "This page was not opened over HTTPS or localhost, so the browser keeps its cryptography " +
        "away from it. Open the same address over HTTPS, or on the machine itself as localhost.",
    );
  }
  return subtle;
}

/**
 * Return the 32-byte SHA-256 of `data`.
 *
 * @param {Uint8Array} data
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function sha256(data) {
  return new Uint8Array(await webCrypto().digest("SHA-256", data));
}

/**
 * Return the SHA-256 of `data` as 64 lower-case hex digits.
 *
 * @param {Uint8Array} data
 * @returns {Promise<string>}
 */
export async function sha256Hex(data) {
  return toHex(await sha256(data));
}

/**
 * @param {Uint8Array} data
 * @returns {string} lower-case hex
 */
export function toHex(data) {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Return the bytes that lower-case hex of any even length spells.
 *
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {FormatError} not pairs of lower-case hex digits
 */
export function fromHex(text) {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) throw new FormatError("is not lower-case hex");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/**
 * Return the 32 bytes of a SHA-256 in hex.
 *
 * @param {unknown} value
 * @param {string} [path]
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {FormatError} not a string of exactly 64 lower-case hex digits
 */
export function parseHex(value, path = "") {
  if (typeof value !== "string" || !HEX.test(value)) {
    throw new FormatError("a SHA-256 digest is 64 lower-case hex digits", path);
  }
  return fromHex(value);
}

/**
 * Return `parts` joined.
 *
 * @param {Uint8Array[]} parts
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function concat(parts) {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/**
 * @param {Uint8Array} left
 * @param {Uint8Array} right
 * @returns {boolean}
 */
export function equalBytes(left, right) {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}
