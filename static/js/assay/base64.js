// Base64 in its one spelling: standard alphabet, padded, no stray low bits (RFC 4648, section 4).

import { FormatError } from "./errors.js";

const CHUNK = 0x8000; // arguments that one call of String.fromCharCode takes safely
const STANDARD = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const URL_SAFE = /^[A-Za-z0-9_-]*$/;

/**
 * Return standard base64 with padding.
 *
 * @param {Uint8Array} data
 * @returns {string}
 */
export function encodeBase64(data) {
  let text = "";
  for (let start = 0; start < data.length; start += CHUNK) {
    text += String.fromCharCode(...data.subarray(start, start + CHUNK));
  }
  return btoa(text);
}

/**
 * Return the bytes that `text` spells.
 *
 * @param {unknown} text
 * @param {string} [path]
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {FormatError} not a string, another alphabet, white space, padding or low bits astray
 */
export function decodeBase64(text, path = "") {
  if (typeof text !== "string" || !STANDARD.test(text)) {
    throw new FormatError("is not canonical base64", path);
  }
  const data = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  if (encodeBase64(data) !== text) {
    throw new FormatError("is not the canonical base64 spelling", path);
  }
  return data;
}

/**
 * Return the bytes that `text`, unpadded base64url (RFC 4648, section 5), spells.
 *
 * @param {string} text
 * @param {string} [path]
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {FormatError} any other spelling
 */
export function decodeBase64Url(text, path = "") {
  if (!URL_SAFE.test(text)) throw new FormatError("is not base64url", path);
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return decodeBase64(standard + "=".repeat((4 - (standard.length % 4)) % 4), path);
}
