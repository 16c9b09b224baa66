// Signed notes: a text, and lines that sign it (C2SP signed-note, tlog-cosignature).
//
// The rules are those of `assay.note`: the text is everything before the last empty line; a
// signature line is `— NAME BASE64` whose first four bytes are the key id; lines of unknown pairs
// (name, id) are ignored, every line of a known pair must verify; a plain signature (type 01)
// covers the text, a cosignature (type 04) a header with its time and then the text.
//
//     const opened = await openNote(data, [logVkey, ...witnessVkeys]);

import { decodeBase64, encodeBase64 } from "./base64.js";
import { decodeUtf8 } from "./canonical.js";
import { concat, equalBytes, sha256, toHex, webCrypto } from "./digests.js";
import { FormatError, MisuseError, UnavailableError, VerificationError } from "./errors.js";
import { LIMITS } from "./limits.js";

export const ED25519 = 1;
export const COSIGNATURE = 4;
export const KEY_BYTES = 32;
const ID_BYTES = 4;
const TIME_BYTES = 8;
const SIGNATURE_BYTES = 64;
const MAX_TIME = 2n ** 63n - 1n;
const DASH = "\u2014 ";
// Every Unicode space as Python counts them (`\s` of JavaScript counts others), and no half pair.
const NAME =
  /^[^+\u0000-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ud800-\udfff]+$/u;
const HEX_ID = /^[0-9a-f]{8}$/;
const encoder = new TextEncoder();

/** A verifier key: name, 4-byte id, type (`ED25519` or `COSIGNATURE`), 32-byte public key. */
export class VKey {
  /** @param {{name: string, keyId: Uint8Array, kind: number, key: Uint8Array}} fields */
  constructor({ name, keyId, kind, key }) {
    this.name = name;
    this.keyId = keyId;
    this.kind = kind;
    this.key = key;
    Object.freeze(this);
  }

  /**
   * Return the key that `NAME+ID+BASE64` spells; the id is computed again.
   *
   * @param {string} text
   * @param {string} [path]
   * @returns {Promise<VKey>}
   * @throws {FormatError} another spelling, a type other than 01 and 04, or an id of another key
   */
  static async parse(text, path = "") {
    const [name, id, ...rest] = text.split("+");
    if (rest.length === 0 || !NAME.test(name) || !HEX_ID.test(id)) {
      throw new FormatError("a vkey is NAME+ID+KEY", path);
    }
    const data = decodeBase64(rest.join("+"), path); // "+" is a letter of base64 too
    if (data.length !== 1 + KEY_BYTES || ![ED25519, COSIGNATURE].includes(data[0])) {
      throw new FormatError("a vkey has type 01 or 04 and 32 bytes of key", path);
    }
    const vkey = await makeVkey(name, data[0], data.subarray(1));
    if (toHex(vkey.keyId) !== id) {
      throw new FormatError("the id of the vkey belongs to another key", path);
    }
    return vkey;
  }

  /** The one spelling; two keys are the same when their texts are. */
  toString() {
    const data = concat([Uint8Array.of(this.kind), this.key]);
    return `${this.name}+${toHex(this.keyId)}+${encodeBase64(data)}`;
  }
}

function keyDigest(name, kind, key) {
  return sha256(concat([encoder.encode(`${name}\n`), Uint8Array.of(kind), key]));
}

async function makeVkey(name, kind, key) {
  const keyId = (await keyDigest(name, kind, key)).subarray(0, ID_BYTES);
  return new VKey({ name, keyId, kind, key });
}

/**
 * Return the verifier key of a raw Ed25519 public key under `name`.
 *
 * @param {string} name
 * @param {Uint8Array} key 32 bytes
 * @param {number} kind `ED25519` or `COSIGNATURE`
 * @returns {Promise<VKey>}
 * @throws {MisuseError} a name that no signature line can carry, or another type
 */
export async function vkeyFor(name, key, kind) {
  if (!NAME.test(name)) {
    throw new MisuseError(`'${name}' is no key name: empty, or with a space or a plus sign`);
  }
  if (kind !== ED25519 && kind !== COSIGNATURE) {
    throw new MisuseError(`keys of type ${kind} are not made here`);
  }
  return makeVkey(name, kind, key);
}

/**
 * Return the 32-byte id of a log in Rekor's formats: SHA-256(origin ‖ 0A ‖ 01 ‖ key).
 *
 * @param {string} origin
 * @param {Uint8Array} key 32 bytes
 * @returns {Promise<Uint8Array>}
 */
export function logId(origin, key) {
  return keyDigest(origin, ED25519, key);
}

/**
 * @typedef {{name: string, keyId: Uint8Array, payload: Uint8Array}} SignatureLine `payload` is what
 *   follows the 4-byte `keyId`, at least one byte
 * @typedef {{text: string, lines: readonly SignatureLine[]}} Note nothing is verified; `text` ends
 *   in a newline
 * @typedef {{text: string, verified: readonly VKey[],
 *   times: ReadonlyMap<string, bigint>}} OpenedNote a text and the known keys that signed it;
 *   `times` are POSIX seconds of cosignatures, by the text of the key
 */

/**
 * Parse a signed note, syntax only.
 *
 * @param {Uint8Array} data
 * @returns {Note}
 * @throws {FormatError} above 1 MB, not UTF-8, a control character, no empty line, no signature
 *   line, more than 100 of them, or a line that is not one
 */
export function parseNote(data) {
  if (data.length > LIMITS.note) throw new FormatError(`a note is at most ${LIMITS.note} bytes`);
  if (data.some((byte) => byte < 0x20 && byte !== 0x0a)) {
    throw new FormatError("a note has no control character but newline");
  }
  const whole = decodeUtf8(data, "", "a note is UTF-8");
  const end = whole.lastIndexOf("\n\n");
  const tail = whole.slice(end + 2);
  if (end < 0 || !tail.endsWith("\n")) {
    throw new FormatError("a note is a text, an empty line and lines of signatures");
  }
  const lines = tail.slice(0, -1).split("\n");
  if (lines.length > LIMITS.noteSignatures) {
    throw new FormatError(`a note has at most ${LIMITS.noteSignatures} signature lines`);
  }
  return Object.freeze({ text: whole.slice(0, end + 1), lines: lines.map(parseLine) });
}

/**
 * Parse one signature line, without its newline.
 *
 * @param {string} line
 * @returns {SignatureLine}
 * @throws {FormatError} not `— NAME BASE64` with more than a key id
 */
export function parseLine(line) {
  const rest = line.startsWith(DASH) ? line.slice(DASH.length) : "";
  const space = rest.indexOf(" ");
  const name = space < 0 ? rest : rest.slice(0, space);
  if (!NAME.test(name)) {
    throw new FormatError("a signature line is a dash, a key name and base64");
  }
  const data = decodeBase64(space < 0 ? "" : rest.slice(space + 1));
  if (data.length <= ID_BYTES) {
    throw new FormatError("a signature line holds a key id and a signature");
  }
  const [keyId, payload] = [data.subarray(0, ID_BYTES), data.subarray(ID_BYTES)];
  return Object.freeze({ name, keyId, payload });
}

/**
 * Parse a note and verify every line of the keys `vkeys`; at least one must have signed. Of
 * repeated cosignatures of one key the earliest time counts: all cover the same text.
 *
 * @param {Uint8Array} data
 * @param {readonly VKey[]} vkeys
 * @returns {Promise<OpenedNote>}
 * @throws {MisuseError} no keys, or two keys with the same name and id
 * @throws {FormatError} not a note
 * @throws {VerificationError} a line of a known key does not verify, or no known key signed
 * @throws {UnavailableError} this browser has no Ed25519
 */
export async function openNote(data, vkeys) {
  const known = knownKeys(vkeys);
  const note = parseNote(data);
  const verified = new Map();
  const times = new Map();
  for (const line of note.lines) {
    const signer = known.get(pair(line));
    if (!signer) continue;
    const time = await verifyLine(note.text, line, signer);
    verified.set(String(signer), signer);
    if (time === null) continue;
    const before = times.get(String(signer)) ?? time;
    times.set(String(signer), time < before ? time : before);
  }
  if (verified.size === 0) throw new VerificationError("no known key signed the note");
  return Object.freeze({ text: note.text, verified: Object.freeze([...verified.values()]), times });
}

function knownKeys(vkeys) {
  const known = new Map();
  for (const vkey of vkeys) {
    const before = known.get(pair(vkey)) ?? vkey;
    if (String(before) !== String(vkey)) {
      throw new MisuseError(`two keys are named ${vkey.name} and have the same id`);
    }
    known.set(pair(vkey), vkey);
  }
  if (known.size === 0) throw new MisuseError("a note cannot be opened without keys");
  return known;
}

function pair({ name, keyId }) {
  return `${name}+${toHex(keyId)}`;
}

/** Verify one line of a known key; return a cosignature's time, or null. */
async function verifyLine(text, line, vkey) {
  let [message, signature, time] = [encoder.encode(text), line.payload, null];
  if (vkey.kind === COSIGNATURE) {
    if (signature.length !== TIME_BYTES + SIGNATURE_BYTES) {
      throw new VerificationError(`the cosignature of ${vkey.name} has another length`);
    }
    time = BigInt(`0x${toHex(signature.subarray(0, TIME_BYTES))}`);
    if (time === 0n || time > MAX_TIME) {
      throw new VerificationError(`the cosignature of ${vkey.name} has no possible time`);
    }
    message = cosignedMessage(text, time);
    signature = signature.subarray(TIME_BYTES);
  }
  if (!(await verifyEd25519(vkey.key, signature, message))) {
    throw new VerificationError(`the signature of ${vkey.name} is wrong`);
  }
  return time;
}

/**
 * Return what a witness signs for `text` at `time`, in POSIX seconds (tlog-cosignature).
 *
 * @param {string} text
 * @param {bigint} time
 * @returns {Uint8Array}
 */
export function cosignedMessage(text, time) {
  return encoder.encode(`cosignature/v1\ntime ${time}\n${text}`);
}

/**
 * Tell whether `signature` is the Ed25519 key's over `message`.
 *
 * @param {Uint8Array} key 32 bytes
 * @param {Uint8Array} signature
 * @param {Uint8Array} message
 * @returns {Promise<boolean>}
 * @throws {UnavailableError} this browser has no Ed25519
 */
export async function verifyEd25519(key, signature, message) {
  try {
    const algorithm = { name: "Ed25519" };
    const publicKey = await webCrypto().importKey("raw", key, algorithm, false, ["verify"]);
    return await webCrypto().verify(algorithm, publicKey, signature, message);
  } catch (error) {
    if (error?.name === "NotSupportedError") {
      throw new UnavailableError("this browser cannot check Ed25519 signatures: a newer one can");
    }
    if (error instanceof MisuseError) throw error;
    return false; // 32 bytes that are no point of the curve sign nothing
  }
}

/**
 * Tell whether two verifier keys are the same.
 *
 * @param {VKey} left
 * @param {VKey} right
 * @returns {boolean}
 */
export function sameVkey(left, right) {
  return left.name === right.name && left.kind === right.kind && equalBytes(left.key, right.key);
}
