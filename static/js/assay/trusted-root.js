// The logs that a reader knows: a Sigstore TrustedRoot v0.1 that names Ed25519 logs, nothing else.
//
// The origin of a log is the host name of its base URL, and its id must be the one that its origin
// and key give. The document is pinned by the reader, never taken from the log that is checked.

import { decodeBase64 } from "./base64.js";
import { asObject, parseJson } from "./canonical.js";
import { isOrigin } from "./checkpoint.js";
import { equalBytes, fromHex, toHex } from "./digests.js";
import { FormatError, MisuseError, VerificationError } from "./errors.js";
import { LIMITS } from "./limits.js";
import { ED25519, KEY_BYTES, logId, vkeyFor } from "./note.js";

export const TRUSTED_ROOT_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
const OTHER_AUTHORITIES = ["certificateAuthorities", "ctlogs", "timestampAuthorities"];
const SPKI_PREFIX = fromHex("302a300506032b6570032100"); // RFC 8410: the only DER of such a key
const BASE_URL = /^https?:\/\/([^/:]+)(?::[0-9]{1,5})?(?:\/[A-Za-z0-9._~-]+)*\/?$/;
const INSTANT = /^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?Z$/;

/** A log as a trusted root names it. */
export class LogKey {
  /**
   * @param {{origin: string, baseUrl: string, vkey: import("./note.js").VKey, keyId32: Uint8Array,
   *   start: string}} fields `keyId32` is the 32-byte `logId.keyId`; `start` an RFC 3339 instant in
   *   UTC
   */
  constructor({ origin, baseUrl, vkey, keyId32, start }) {
    this.origin = origin;
    this.baseUrl = baseUrl;
    this.vkey = vkey;
    this.keyId32 = keyId32;
    this.start = start;
    Object.freeze(this);
  }
}

/** The logs that a reader knows; at least one. Those of one registry stand in their order. */
export class TrustedRoot {
  /** @param {{logs: readonly LogKey[]}} fields */
  constructor({ logs }) {
    this.logs = Object.freeze([...logs]);
    Object.freeze(this);
  }

  /** The origins of the logs, in the order in which the logs stand. */
  get origins() {
    return this.logs.map(({ origin }) => origin);
  }

  /**
   * Return the log with this 32-byte id.
   *
   * @param {Uint8Array} keyId32
   * @returns {LogKey}
   * @throws {VerificationError} the trusted root does not name it
   */
  find(keyId32) {
    const found = this.logs.find((log) => equalBytes(log.keyId32, keyId32));
    if (!found) {
      throw new VerificationError("the trusted root does not name the log", {
        found: toHex(keyId32),
      });
    }
    return found;
  }
}

/**
 * Parse a trusted root. A time at which a key ends is refused: stock clients do not heed it, so a
 * log key is retired by removing it.
 *
 * @param {Uint8Array} data
 * @returns {Promise<TrustedRoot>}
 * @throws {FormatError} another media type, unknown or missing fields, an authority that is no log,
 *   or a log id that origin and key do not give
 * @throws {MisuseError} it names no log
 */
export async function parseTrustedRoot(data) {
  const path = "trusted root";
  const root = asObject(parseJson(data, { maxBytes: LIMITS.trustedRoot, path }), path, {
    required: ["mediaType", "tlogs"],
    optional: OTHER_AUTHORITIES,
  });
  if (root.mediaType !== TRUSTED_ROOT_TYPE) {
    throw new FormatError(`the media type is ${TRUSTED_ROOT_TYPE}`, path);
  }
  if (!OTHER_AUTHORITIES.every((field) => isEmpty(root[field]))) {
    throw new FormatError("only logs are supported", path);
  }
  if (!Array.isArray(root.tlogs)) throw new FormatError("tlogs is an array", path);
  if (root.tlogs.length === 0) throw new MisuseError("the trusted root names no log");
  const logs = await Promise.all(root.tlogs.map((log, index) => parseLog(log, `tlogs[${index}]`)));
  if (new Set(logs.map(({ keyId32 }) => toHex(keyId32))).size !== logs.length) {
    throw new FormatError("a log stands twice", path);
  }
  return new TrustedRoot({ logs });
}

function isEmpty(value) {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}

async function parseLog(value, path) {
  const log = asObject(value, path, {
    required: ["baseUrl", "hashAlgorithm", "publicKey", "logId"],
  });
  const key = asObject(log.publicKey, `${path}.publicKey`, {
    required: ["rawBytes", "keyDetails", "validFor"],
  });
  const valid = asObject(key.validFor, `${path}.publicKey.validFor`, { required: ["start"] });
  const id = asObject(log.logId, `${path}.logId`, { required: ["keyId"] });
  if (log.hashAlgorithm !== "SHA2_256" || key.keyDetails !== "PKIX_ED25519") {
    throw new FormatError("a log has SHA2_256 and a key of type PKIX_ED25519", path);
  }
  const raw = rawKey(decodeBase64(key.rawBytes, `${path}.publicKey.rawBytes`), path);
  const origin = originOf(log.baseUrl, `${path}.baseUrl`);
  const start = instant(valid.start, `${path}.publicKey.validFor.start`);
  const keyId32 = await logId(origin, raw);
  if (!equalBytes(decodeBase64(id.keyId, `${path}.logId.keyId`), keyId32)) {
    throw new FormatError("not the id that origin and key give", `${path}.logId.keyId`);
  }
  const vkey = await vkeyFor(origin, raw, ED25519);
  return new LogKey({ origin, baseUrl: log.baseUrl, vkey, keyId32, start });
}

function rawKey(spki, path) {
  const raw = spki.subarray(SPKI_PREFIX.length);
  if (raw.length !== KEY_BYTES || !equalBytes(spki.subarray(0, SPKI_PREFIX.length), SPKI_PREFIX)) {
    throw new FormatError("not the DER of an Ed25519 key", `${path}.publicKey.rawBytes`);
  }
  return raw;
}

function originOf(baseUrl, path) {
  const host = typeof baseUrl === "string" ? BASE_URL.exec(baseUrl)?.[1] : undefined;
  if (host === undefined || !isOrigin(host)) {
    throw new FormatError("a base URL is http(s), a host name in lower case and a path", path);
  }
  return host;
}

function instant(value, path) {
  const seconds = typeof value === "string" ? INSTANT.exec(value)?.[1] : undefined;
  // Date turns 30 February into a day of March; printing again and comparing does not.
  const date = new Date(`${seconds}Z`);
  const exists = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(String(seconds));
  if (!exists || value.startsWith("0000")) {
    throw new FormatError("an instant is RFC 3339 in UTC", path);
  }
  return value;
}
