// ECDSA P-256 signatures in strict DER. WebCrypto speaks r || s, so both ways of the conversion are
// here.

import { concat, equalBytes, toHex } from "./digests.js";
import { FormatError } from "./errors.js";

export const P256 = Object.freeze({ name: "ECDSA", namedCurve: "P-256" });
export const ECDSA = Object.freeze({ name: "ECDSA", hash: "SHA-256" });

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const HALF = 32; // bytes of r, and of s

/**
 * Return the DER form of WebCrypto's signature (r and s, 32 big-endian bytes each).
 *
 * @param {Uint8Array} raw 64 bytes
 * @returns {Uint8Array<ArrayBuffer>} 8 to 72 bytes
 * @throws {FormatError} not 64 bytes, or a number that P-256 does not have
 */
export function rawToDer(raw) {
  if (raw.length !== 2 * HALF) {
    throw new FormatError(`a raw P-256 signature is 64 bytes, not ${raw.length}`);
  }
  const body = concat([derInteger(raw.subarray(0, HALF)), derInteger(raw.subarray(HALF))]);
  return concat([Uint8Array.of(0x30, body.length), body]);
}

/**
 * Return r || s, as WebCrypto wants it, of a strict DER signature.
 *
 * @param {Uint8Array} der
 * @param {string} [path]
 * @returns {Uint8Array<ArrayBuffer>} 64 bytes
 * @throws {FormatError} BER, bytes after the end, or a number out of range
 */
export function derToRaw(der, path = "") {
  const raw = new Uint8Array(2 * HALF);
  let offset = 2;
  for (const end of [HALF, 2 * HALF]) {
    const length = der[offset + 1] ?? 0;
    const number = stripZeros(der.subarray(offset + 2, offset + 2 + length));
    if (der[offset] !== 0x02 || number.length > HALF) {
      throw new FormatError("the signature is not DER", path);
    }
    raw.set(number, end - number.length);
    offset += 2 + length;
  }
  // Printing again and comparing refuses every other spelling, and every byte too many.
  if (!inRange(raw) || !equalBytes(rawToDer(raw), der)) {
    throw new FormatError("the signature is not strict DER of two numbers that P-256 has", path);
  }
  return raw;
}

/**
 * Check that `signature` is the one DER spelling of (r, s), both from 1 to the order - 1.
 *
 * @param {Uint8Array} signature
 * @param {string} [path]
 * @throws {FormatError} as `derToRaw`
 */
export function checkDer(signature, path = "") {
  derToRaw(signature, path);
}

function inRange(raw) {
  return [raw.subarray(0, HALF), raw.subarray(HALF)].every(isNumber);
}

function isNumber(bytes) {
  const value = BigInt(`0x${toHex(bytes)}`);
  return value > 0n && value < ORDER;
}

function derInteger(bytes) {
  if (!isNumber(bytes)) {
    throw new FormatError("the signature holds a number that P-256 does not have");
  }
  const number = stripZeros(bytes);
  const positive = number[0] & 0x80 ? concat([Uint8Array.of(0), number]) : number;
  return concat([Uint8Array.of(0x02, positive.length), positive]);
}

function stripZeros(bytes) {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? bytes.subarray(bytes.length) : bytes.subarray(first);
}
