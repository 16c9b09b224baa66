// DSSE envelopes with one ECDSA P-256 signature: what is signed is the PAE, the signature is strict
// DER, there is no key id. WebCrypto speaks r || s, so both ways of the conversion are here.

import { decodeBase64, encodeBase64 } from "./base64.js";
import { concat, sha256Hex, toHex, webCrypto } from "./digests.js";
import { FormatError, VerificationError } from "./errors.js";

export const PAYLOAD_TYPE = "application/vnd.in-toto+json";
export const P256 = Object.freeze({ name: "ECDSA", namedCurve: "P-256" });
export const ECDSA = Object.freeze({ name: "ECDSA", hash: "SHA-256" });

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const HALF = 32; // bytes of r, and of s
const encoder = new TextEncoder();

/**
 * @typedef {{payload: string, payloadType: string, signatures: {sig: string}[]}} EnvelopeJson
 */

/**
 * Return DSSE's pre-authentication encoding: the bytes that get signed.
 *
 * @param {Uint8Array} payload
 * @param {string} [payloadType]
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function pae(payload, payloadType = PAYLOAD_TYPE) {
  const kind = encoder.encode(payloadType);
  return concat([
    encoder.encode(`DSSEv1 ${kind.length} `),
    kind,
    encoder.encode(` ${payload.length} `),
    payload,
  ]);
}

/**
 * Return the hex SHA-256 of the PAE: the name of a claim's payload in the log.
 *
 * @param {Uint8Array} payload
 * @returns {Promise<string>}
 */
export function paeSha256(payload) {
  return sha256Hex(pae(payload));
}

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
 * @returns {Uint8Array<ArrayBuffer>} 64 bytes
 * @throws {FormatError} BER, bytes after the end, or a number out of range
 */
export function derToRaw(der) {
  const raw = new Uint8Array(2 * HALF);
  let offset = 2;
  for (const end of [HALF, 2 * HALF]) {
    const length = der[offset + 1] ?? 0;
    const number = stripZeros(der.subarray(offset + 2, offset + 2 + length));
    if (der[offset] !== 0x02 || number.length > HALF) {
      throw new FormatError("the signature is not DER");
    }
    raw.set(number, end - number.length);
    offset += 2 + length;
  }
  // Printing again and comparing refuses every other spelling, and every byte too many.
  if (!equalBytes(rawToDer(raw), der)) throw new FormatError("the signature is not strict DER");
  return raw;
}

/**
 * Return the JSON form of an envelope, without a key id.
 *
 * @param {Uint8Array} payload
 * @param {Uint8Array} signature strict DER over `pae(payload)`
 * @returns {EnvelopeJson}
 */
export function envelopeJson(payload, signature) {
  return {
    payload: encodeBase64(payload),
    payloadType: PAYLOAD_TYPE,
    signatures: [{ sig: encodeBase64(signature) }],
  };
}

/**
 * Sign `payload` with a P-256 key of this browser.
 *
 * @param {Uint8Array} payload
 * @param {CryptoKey} privateKey
 * @returns {Promise<EnvelopeJson>}
 */
export async function signEnvelope(payload, privateKey) {
  const raw = await webCrypto().sign(ECDSA, privateKey, pae(payload));
  return envelopeJson(payload, rawToDer(new Uint8Array(raw)));
}

/**
 * Check an envelope against a public key and return its payload. The payload is not read.
 *
 * @param {EnvelopeJson} envelope
 * @param {Uint8Array} spki the key, SubjectPublicKeyInfo in DER
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 * @throws {FormatError} base64 or DER in another spelling, not exactly one signature
 * @throws {VerificationError} another payload type, a key id, or not this key's signature
 */
export async function verifyEnvelope(envelope, spki) {
  if (!Array.isArray(envelope?.signatures) || envelope.signatures.length !== 1) {
    throw new FormatError("an envelope holds exactly one signature", "signatures");
  }
  const [{ sig, keyid }] = envelope.signatures;
  if (envelope.payloadType !== PAYLOAD_TYPE) {
    throw new VerificationError("another payload type", {
      expected: PAYLOAD_TYPE,
      found: String(envelope.payloadType),
    });
  }
  if (keyid) throw new VerificationError("the signature names a key id");
  const payload = decodeBase64(envelope.payload, "payload");
  const raw = derToRaw(decodeBase64(sig, "signatures[0].sig"));
  const key = await importPublicKey(spki);
  if (!(await webCrypto().verify(ECDSA, key, raw, pae(payload)))) {
    throw new VerificationError(`the signature is not one of key ${await fingerprint(spki)}`);
  }
  return payload;
}

/**
 * @param {Uint8Array} spki P-256 SubjectPublicKeyInfo in DER, 91 bytes
 * @returns {Promise<CryptoKey>}
 */
export function importPublicKey(spki) {
  return webCrypto().importKey("spki", spki, P256, true, ["verify"]);
}

/**
 * Return the fingerprint of a key: hex SHA-256 of its SPKI DER.
 *
 * @param {Uint8Array} spki
 * @returns {Promise<string>}
 */
export function fingerprint(spki) {
  return sha256Hex(spki);
}

/**
 * Return the key in PEM, with its final newline.
 *
 * @param {Uint8Array} spki
 * @returns {string}
 */
export function publicKeyPem(spki) {
  const lines = encodeBase64(spki).match(/.{1,64}/g) ?? [];
  return `-----BEGIN PUBLIC KEY-----\n${lines.join("\n")}\n-----END PUBLIC KEY-----\n`;
}

/**
 * @param {Uint8Array} left
 * @param {Uint8Array} right
 * @returns {boolean}
 */
export function equalBytes(left, right) {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

function derInteger(bytes) {
  const number = stripZeros(bytes);
  const value = BigInt(`0x${toHex(bytes)}`);
  if (value === 0n || value >= ORDER) {
    throw new FormatError("the signature holds a number that P-256 does not have");
  }
  const positive = number[0] & 0x80 ? concat([Uint8Array.of(0), number]) : number;
  return concat([Uint8Array.of(0x02, positive.length), positive]);
}

function stripZeros(bytes) {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? bytes.subarray(bytes.length) : bytes.subarray(first);
}
