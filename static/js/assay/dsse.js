// DSSE envelopes with one ECDSA P-256 signature, and the Rekor entry that logs one.
//
// The rules, each of which is a check below:
//
// 1. What is signed is the pre-authentication encoding (PAE) of type and payload, never the
//    payload.
// 2. One signature, P-256 with SHA-256, in strict DER.
// 3. No key id: who signed is found by the key, not by what the sender calls it.
// 4. The logged body is a template; nobody parses one loosely. A body is the template or is
//    foreign.

import { decodeBase64, decodeBase64Url, encodeBase64 } from "./base64.js";
import { asList, asObject, asText, parseJson } from "./canonical.js";
import { concat, sha256, sha256Hex, webCrypto } from "./digests.js";
import { ECDSA, checkDer, rawToDer } from "./ecdsa.js";
import { FormatError, VerificationError } from "./errors.js";
import { LIMITS } from "./limits.js";
import { loadPublicKey } from "./public-key.js";

export { equalBytes } from "./digests.js";
export { ECDSA, P256, checkDer, derToRaw, rawToDer } from "./ecdsa.js";
export * from "./public-key.js";

export const PAYLOAD_TYPE = "application/vnd.in-toto+json";

const ENVELOPE = ["payload", "payloadType", "signatures"];
const HASH_BYTES = 32;
const BODY = [
  '{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":' +
    '{"algorithm":"SHA2_256","digest":"',
  '"},"signature":{"content":"',
  '","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"',
  '"}}}}}}',
];
const BODY_PATTERN = new RegExp(
  `^${BODY.map((part) => part.replace(/[.{}]/g, "\\$&")).join("([A-Za-z0-9+/=]{1,200})")}$`,
);
const encoder = new TextEncoder();

/**
 * @typedef {{payload: string, payloadType: string, signatures: {sig: string}[]}} EnvelopeJson
 */
/**
 * One payload and its one signature (strict DER); `keyid` is what the sender wrote there.
 *
 * @typedef {{payload: Uint8Array, payloadType: string, signature: Uint8Array, keyid: string}}
 *   Envelope
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
 * @param {string} [payloadType]
 * @returns {Promise<string>}
 */
export function paeSha256(payload, payloadType = PAYLOAD_TYPE) {
  return sha256Hex(pae(payload, payloadType));
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
 * Check the JSON form of an envelope against a public key and return its payload, which is not
 * read.
 *
 * @param {unknown} value
 * @param {Uint8Array} spki the key, SubjectPublicKeyInfo in DER
 * @returns {Promise<Uint8Array>}
 * @throws {FormatError} as `parseEnvelope`
 * @throws {VerificationError} as `checkEnvelope`
 */
export async function verifyEnvelope(value, spki) {
  const envelope = parseEnvelope(value);
  await checkEnvelope(envelope, await loadPublicKey(spki));
  return envelope.payload;
}

/**
 * Check payload type, key id and signature of `envelope` (`assay.dsse.verify_envelope`).
 *
 * @param {Envelope} envelope
 * @param {import("./public-key.js").PublicKey} key
 * @returns {Promise<void>}
 * @throws {FormatError} the signature is not strict DER
 * @throws {VerificationError} another payload type, a key id, or a signature that is not `key`'s
 */
export async function checkEnvelope(envelope, key) {
  checkHeaders(envelope);
  await key.verify(pae(envelope.payload, envelope.payloadType), envelope.signature);
}

/**
 * Check what the envelope says beside payload and signature.
 *
 * @param {Envelope} envelope
 * @throws {VerificationError} another payload type, or a key id
 */
export function checkHeaders({ payloadType, keyid }) {
  if (payloadType !== PAYLOAD_TYPE) {
    throw new VerificationError("another payload type", {
      expected: PAYLOAD_TYPE,
      found: payloadType,
    });
  }
  if (keyid) {
    throw new VerificationError("the signature names a key id", { expected: "none", found: "one" });
  }
}

/**
 * Read an envelope, syntax only: `checkHeaders` and `checkEnvelope` do the rest.
 *
 * @param {unknown} data its bytes, or the JSON value of it
 * @param {string} [path]
 * @returns {Envelope}
 * @throws {FormatError} not JSON, an unknown field, base64 in another spelling, not exactly one
 *   signature, a signature that is not strict DER
 */
export function parseEnvelope(data, path = "") {
  const value = data instanceof Uint8Array ? parseJson(data, { path }) : data;
  const fields = asObject(value, path, { required: ENVELOPE });
  const prefix = path && `${path}.`;
  const where = `${prefix}signatures`;
  const signatures = asList(fields.signatures, where);
  if (signatures.length !== 1) {
    throw new FormatError(`holds ${signatures.length} signatures, not one`, where);
  }
  const item = asObject(signatures[0], `${where}[0]`, { required: ["sig"], optional: ["keyid"] });
  const signature = decodeBase64(item.sig, `${where}[0].sig`);
  checkDer(signature, `${where}[0].sig`);
  return Object.freeze({
    payload: decodeBase64(fields.payload, `${prefix}payload`),
    payloadType: asText(fields.payloadType, `${prefix}payloadType`),
    signature,
    keyid: asText(item.keyid ?? "", `${where}[0].keyid`),
  });
}

/**
 * Return the `hashedrekord` 0.0.2 body of an envelope under a key: the entry of the log, RFC 8785.
 *
 * @param {Envelope} envelope
 * @param {Uint8Array} spki
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function rekorBody(envelope, spki) {
  const digest = await sha256(pae(envelope.payload, envelope.payloadType));
  const [first, second, third, last] = BODY;
  const values = [digest, envelope.signature, spki].map(encodeBase64);
  return encoder.encode(first + values[0] + second + values[1] + third + values[2] + last);
}

/**
 * Return what a body that `rekorBody` could have made is about.
 *
 * @param {Uint8Array} body
 * @returns {{paeSha256: Uint8Array, signature: Uint8Array, spki: Uint8Array}}
 * @throws {FormatError} any other entry; such a leaf is foreign: this log should not hold it
 */
export function parseRekorBody(body) {
  const match = BODY_PATTERN.exec(Array.from(body, (byte) => String.fromCharCode(byte)).join(""));
  if (!match) {
    throw new FormatError("the entry is not a hashedrekord 0.0.2 body in canonical form");
  }
  const [digest, signature, spki] = match.slice(1).map((text) => decodeBase64(text));
  if (digest.length !== HASH_BYTES) throw new FormatError("the entry's digest is not 32 bytes");
  checkDer(signature);
  return { paeSha256: digest, signature, spki };
}

/**
 * Return the envelope that `text`, a compact receipt, spells: unpadded base64url of the payload, a
 * full stop, that of the signature.
 *
 * @param {string} text
 * @returns {Envelope}
 * @throws {FormatError} not two parts of canonical base64url, or not a DER signature
 */
export function parseCompact(text) {
  const parts = text.split(".");
  if (parts.length !== 2 || text.length > 2 * LIMITS.statement) {
    throw new FormatError("a compact receipt is two parts with a full stop between them");
  }
  const [payload, signature] = parts.map((part) => decodeBase64Url(part));
  checkDer(signature);
  return Object.freeze({ payload, payloadType: PAYLOAD_TYPE, signature, keyid: "" });
}
