// Sigstore bundle v0.3, as this log and cosign write it: one envelope, one key hint, one log entry.
//
// The rules:
//
// 1. Syntax is read whole before anything is judged; then what is well-formed and not ours is
//    refused (a certificate, another entry kind, a promise in place of a proof, a claim that was
//    not logged).
// 2. Integers are JSON strings in plain decimal; a field that is absent is zero.
// 3. The unsigned copies (`rootHash`, `treeSize`, `inclusionProof.logIndex`) are kept as read. They
//    mean nothing until `verify` has compared them with the signed checkpoint.

import { decodeBase64, encodeBase64 } from "./base64.js";
import { asList, asObject, asText, parseDecimal, parseJson } from "./canonical.js";
import { parseCheckpoint } from "./checkpoint.js";
import { sha256, sha256Hex } from "./digests.js";
import { parseEnvelope, publicKeyPem } from "./dsse.js";
import { FormatError, VerificationError } from "./errors.js";
import { LIMITS } from "./limits.js";
import { parseNote } from "./note.js";

export const MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const KIND = "hashedrekord";
const VERSION = "0.0.2";
const CERTIFICATES = ["certificate", "x509CertificateChain"];
const HASH_BYTES = 32;
const encoder = new TextEncoder();

/**
 * A proof as the bundle carries it; `checkpoint` is the signed note, nothing is verified. Hashes
 * are 32 bytes each.
 *
 * @typedef {{index: bigint, root: Uint8Array, size: bigint, hashes: readonly Uint8Array[],
 *   checkpoint: Uint8Array}} InclusionProof
 */
/**
 * A `hashedrekord` 0.0.2 entry: its index, the log's 32-byte id, the body that was hashed.
 *
 * @typedef {{index: bigint, keyId32: Uint8Array, body: Uint8Array, inclusion: InclusionProof}}
 *   LogEntry
 */
/**
 * An envelope, a hint at its key (`""` for none), and its entry in the log.
 *
 * @typedef {{envelope: import("./dsse.js").Envelope, hint: string, entry: LogEntry}} Bundle
 */

/**
 * Return cosign's hint at a key: base64 of the SHA-256 of its SPKI DER.
 *
 * @param {Uint8Array} spki
 * @returns {Promise<string>}
 */
export async function hintFor(spki) {
  return encodeBase64(await sha256(spki));
}

/**
 * Return model_signing's hint at a key: hex SHA-256 of its SPKI in PEM.
 *
 * @param {Uint8Array} spki
 * @returns {Promise<string>}
 */
export function omsHintFor(spki) {
  return sha256Hex(encoder.encode(publicKeyPem(spki)));
}

/**
 * Read a bundle; nothing is verified.
 *
 * @param {Uint8Array} data
 * @returns {Bundle}
 * @throws {FormatError} not a bundle v0.3 with a DSSE envelope, or not its one spelling
 * @throws {VerificationError} a bundle of a kind that is not taken here (rule 1 above)
 */
export function parseBundle(data) {
  const top = asObject(parseJson(data), "", {
    required: ["mediaType", "verificationMaterial", "dsseEnvelope"],
  });
  if (top.mediaType !== MEDIA_TYPE) throw new FormatError(`is not ${MEDIA_TYPE}`, "mediaType");
  const envelope = parseEnvelope(top.dsseEnvelope, "dsseEnvelope");
  const where = "verificationMaterial";
  const material = asObject(top[where], where, {
    required: [],
    optional: ["publicKey", "tlogEntries", ...CERTIFICATES],
  });
  const entries = listOf(material, "tlogEntries", where);
  if (entries.length > 1) {
    throw new FormatError(`${entries.length} log entries, not one`, `${where}.tlogEntries`);
  }
  const [parsed] = entries.map((item) => parseEntry(item, `${where}.tlogEntries[0]`));
  if (CERTIFICATES.some((name) => Object.hasOwn(material, name))) {
    throw new VerificationError("signed under a certificate: a public key is what is taken here");
  }
  const hint = parseHint(material.publicKey, `${where}.publicKey`);
  if (!parsed) throw new VerificationError("the claim is not in a log");
  if (parsed.refusal) throw new VerificationError(parsed.refusal);
  return Object.freeze({ envelope, hint, entry: parsed.entry });
}

function parseHint(value, path) {
  const key = asObject(value, path, { required: [], optional: ["hint"] });
  return Object.hasOwn(key, "hint") ? asText(key.hint, `${path}.hint`) : "";
}

/** Return a log entry, and why it is not taken (`""` if it is). */
function parseEntry(value, path) {
  const fields = asObject(value, path, {
    required: ["logId", "kindVersion", "inclusionProof", "canonicalizedBody"],
    optional: ["logIndex", "integratedTime", "inclusionPromise"],
  });
  const logId = asObject(fields.logId, `${path}.logId`, { required: ["keyId"] });
  const where = `${path}.kindVersion`;
  const kind = asObject(fields.kindVersion, where, { required: ["kind", "version"] });
  const entry = Object.freeze({
    index: integer(fields, "logIndex", path),
    keyId32: hash(logId.keyId, `${path}.logId.keyId`),
    body: decodeBase64(fields.canonicalizedBody, `${path}.canonicalizedBody`),
    inclusion: parseProof(fields.inclusionProof, `${path}.inclusionProof`),
  });
  const name = asText(kind.kind, `${where}.kind`);
  const version = asText(kind.version, `${where}.version`);
  const integrated = integer(fields, "integratedTime", path);
  return { entry, refusal: refusalOf({ name, version, integrated, fields }) };
}

function refusalOf({ name, version, integrated, fields }) {
  if (name !== KIND || version !== VERSION) {
    return `an entry of kind ${name} ${version}, not ${KIND} ${VERSION}`;
  }
  if (integrated) return "an integrated time, which nothing signs";
  if ((fields.inclusionPromise ?? null) !== null) {
    return "a promise of inclusion, which this log does not make";
  }
  return "";
}

function parseProof(value, path) {
  const fields = asObject(value, path, {
    required: ["rootHash", "checkpoint"],
    optional: ["logIndex", "treeSize", "hashes"],
  });
  const hashes = listOf(fields, "hashes", path);
  if (hashes.length > LIMITS.proofHashes) {
    throw new FormatError(`more than ${LIMITS.proofHashes} hashes`, `${path}.hashes`);
  }
  const where = `${path}.checkpoint`;
  const { envelope } = asObject(fields.checkpoint, where, { required: ["envelope"] });
  const checkpoint = encoder.encode(asText(envelope, `${where}.envelope`));
  parseCheckpoint(parseNote(checkpoint).text);
  return Object.freeze({
    index: integer(fields, "logIndex", path),
    root: hash(fields.rootHash, `${path}.rootHash`),
    size: integer(fields, "treeSize", path),
    hashes: Object.freeze(hashes.map((item, index) => hash(item, `${path}.hashes[${index}]`))),
    checkpoint,
  });
}

function listOf(fields, name, path) {
  return Object.hasOwn(fields, name) ? asList(fields[name], `${path}.${name}`) : [];
}

function integer(fields, name, path) {
  return Object.hasOwn(fields, name) ? parseDecimal(fields[name], `${path}.${name}`) : 0n;
}

function hash(value, path) {
  const data = decodeBase64(value, path);
  if (data.length !== HASH_BYTES) {
    throw new FormatError(`is ${data.length} bytes, not ${HASH_BYTES}`, path);
  }
  return data;
}
