// The keys that a reader trusts, and what for: the document `keys.json`, pinned at first contact.
//
// It is `{"keys":[{"fingerprint","role","owner","publicKey","index"}]}`: `publicKey` in PEM,
// `index` that of the key's registration in the log (null: not logged yet) and `revoked`, where it
// is there, that of its revocation; `log` and `revokedLog` are the origins of the logs of those.
// Two indices of one log are compared as numbers; of two logs the one that stands first in the
// reader's trusted root came first, whole; a log that it does not name has no place in that order.

import { hintFor, omsHintFor } from "./bundle.js";
import { asList, asObject, asSize, asText, parseJson } from "./canonical.js";
import { isOrigin } from "./checkpoint.js";
import { webCrypto } from "./digests.js";
import { FormatError, MisuseError, VerificationError } from "./errors.js";
import { LIMITS } from "./limits.js";
import { OMS } from "./manifest.js";
import { loadPublicKey } from "./public-key.js";
import {
  ALIAS,
  CARD,
  EXECUTION,
  MODERATION,
  RELEASE,
  REPLAY,
  ROLES,
} from "./statements/predicates.js";

// Which role may sign which claim. Key claims are signed by the key itself, whatever its role.
const ROLE_OF = new Map([
  [OMS, "publisher"],
  [RELEASE, "publisher"],
  [CARD, "publisher"],
  [ALIAS, "publisher"],
  [EXECUTION, "executor"],
  [REPLAY, "auditor"],
  [MODERATION, "registry"],
]);
const REQUIRED = ["fingerprint", "role", "owner", "publicKey", "index"];
const OPTIONAL = ["log", "revoked", "revokedLog"];

/** A key, the role and owner it is trusted as, and the indices between which it counts. */
export class TrustedKey {
  /**
   * @param {{key: import("./public-key.js").PublicKey, role?: string, owner?: string,
   *   index?: number | bigint | null, revoked?: number | bigint | null, log?: string,
   *   revokedLog?: string}} fields `role` `""` is a key that the caller vouches for, whatever it
   *   signs; `log` and `revokedLog` are `""` where that is not said
   */
  constructor({ key, role = "", owner = "", index, revoked, log = "", revokedLog = "" }) {
    this.key = key;
    this.role = role;
    this.owner = owner;
    this.index = index === undefined || index === null ? null : BigInt(index);
    this.revoked = revoked === undefined || revoked === null ? null : BigInt(revoked);
    this.log = log;
    this.revokedLog = revokedLog;
    Object.freeze(this);
  }

  /**
   * Check that the role may sign this kind of claim.
   *
   * @param {string} predicateType
   * @throws {VerificationError} another role is needed
   */
  checkRole(predicateType) {
    const needed = ROLE_OF.get(predicateType) ?? this.role;
    if (this.role && this.role !== needed) {
      throw new VerificationError(`the key may not sign ${predicateType}`, {
        expected: needed,
        found: this.role,
      });
    }
  }

  /**
   * Check that the key counted at `index` of the log `log`, one of the origins in `order`.
   *
   * @param {bigint | number} index
   * @param {string} [log]
   * @param {readonly string[]} [order]
   * @param {{revoking?: boolean}} [options] `revoking`: the entry may be the revocation itself,
   *   which the key still signs
   * @throws {VerificationError} the entry stands before the key's registration, or not before its
   *   revocation, or `order` does not tell
   */
  checkIndex(index, log = "", order = [], { revoking = false } = {}) {
    const entry = { log, index: BigInt(index) };
    const registered = { log: this.log, index: this.index };
    if (this.index !== null && isBefore(entry, registered, order)) {
      throw new VerificationError("the entry is older than its key", {
        expected: `an index from ${beside(registered, entry)}`,
        found: beside(entry, registered),
      });
    }
    const revoked = { log: this.revokedLog || this.log, index: this.revoked };
    const last = revoking && !areApart(entry, revoked) && entry.index === revoked.index;
    if (this.revoked !== null && !last && !isBefore(entry, revoked, order)) {
      throw new VerificationError("the key was revoked", {
        expected: `an index below ${beside(revoked, entry)}`,
        found: beside(entry, revoked),
      });
    }
  }
}

function isBefore(one, other, order) {
  if (!areApart(one, other)) return one.index < other.index;
  for (const { log } of [one, other]) {
    if (!order.includes(log)) {
      throw new VerificationError("the trusted root does not tell which log came first", {
        found: log,
      });
    }
  }
  return order.indexOf(one.log) < order.indexOf(other.log);
}

/** Return the index in words, with its log where `other` is of another one. */
function beside(place, other) {
  return areApart(place, other) ? `${place.index} of ${place.log}` : String(place.index);
}

function areApart(one, other) {
  return one.log !== "" && other.log !== "" && one.log !== other.log;
}

/** The keys of one reader. */
export class KeyRing {
  /** @param {{keys: readonly TrustedKey[]}} fields */
  constructor({ keys }) {
    this.keys = Object.freeze([...keys]);
    Object.freeze(this);
  }

  /**
   * Return the key that a bundle's `hint` names, in cosign's form or model_signing's. The hint is
   * unsigned: it chooses which key is tried, and the signature decides.
   *
   * @param {string} hint
   * @returns {Promise<TrustedKey>}
   * @throws {VerificationError} no trusted key has this hint
   */
  async find(hint) {
    for (const trusted of this.keys) {
      const { spki } = trusted.key;
      if (hint === (await hintFor(spki)) || hint === (await omsHintFor(spki))) return trusted;
    }
    throw new VerificationError("signed by a key that is not trusted here", {
      found: hint || "no hint",
    });
  }
}

/**
 * Read a document of trusted keys.
 *
 * @param {Uint8Array} data
 * @returns {Promise<KeyRing>}
 * @throws {FormatError} not the document, a key that is not P-256 or stands twice, or a fingerprint
 *   of another key
 */
export async function parseKeys(data) {
  webCrypto(); // a page that has none says so first: it is no fault of the document
  const value = parseJson(data, { maxBytes: LIMITS.trustedRoot, path: "keys" });
  const items = asList(asObject(value, "keys", { required: ["keys"] }).keys, "keys");
  const keys = await Promise.all(items.map((item, index) => parseKey(item, `keys[${index}]`)));
  if (new Set(keys.map(({ key }) => key.fingerprint)).size !== keys.length) {
    // The first would count: one with a revocation could hide behind one without.
    throw new FormatError("a key stands twice", "keys");
  }
  return new KeyRing({ keys });
}

async function parseKey(value, path) {
  const fields = asObject(value, path, { required: REQUIRED, optional: OPTIONAL });
  const key = await spelledKey(asText(fields.publicKey, `${path}.publicKey`), `${path}.publicKey`);
  if (fields.fingerprint !== key.fingerprint) {
    throw new FormatError("is another key's fingerprint", `${path}.fingerprint`);
  }
  return new TrustedKey({
    key,
    role: readRole(fields.role, `${path}.role`),
    owner: asText(fields.owner, `${path}.owner`),
    index: readIndex(fields, "index", path),
    revoked: readIndex(fields, "revoked", path),
    log: readOrigin(fields, "log", path),
    revokedLog: readOrigin(fields, "revokedLog", path),
  });
}

/**
 * Return the key that `pem` spells in a document or a statement, which has one spelling.
 * `loadPublicKey` is for the reader's own file, and takes whatever PEM and DER allow.
 *
 * @param {string} pem
 * @param {string} path
 * @returns {Promise<import("./public-key.js").PublicKey>}
 * @throws {FormatError} no P-256 public key, or one in another spelling than its `pem`
 */
export async function spelledKey(pem, path) {
  const key = await loadPublicKey(pem).catch((error) => {
    throw error instanceof MisuseError ? new FormatError(error.message, path) : error;
  });
  if (key.pem !== pem) throw new FormatError("is not the one spelling of the key in PEM", path);
  return key;
}

function readRole(value, path) {
  const role = asText(value, path);
  if (!ROLES.includes(role)) throw new FormatError(`is none of ${ROLES.join(", ")}`, path);
  return role;
}

function readIndex(fields, name, path) {
  const value = fields[name] ?? null;
  return value === null ? null : asSize(value, `${path}.${name}`);
}

function readOrigin(fields, name, path) {
  if (!Object.hasOwn(fields, name)) return "";
  const value = asText(fields[name], `${path}.${name}`);
  if (!isOrigin(value)) throw new FormatError("is no origin of a log", `${path}.${name}`);
  return value;
}
