// The statements that a publisher signs in the browser: in-toto Statement v1, RFC 8785.
//
// Each builder returns the payload: the exact bytes that are shown, signed and logged. A value that
// the verifier would refuse is refused here, before anybody signs it.

import { canonicalJson } from "./canonical.js";
import { parseHex, sha256Hex } from "./digests.js";
import { publicKeyPem } from "./dsse.js";
import { FormatError } from "./errors.js";
import { STATEMENT_TYPE, checkPath, compareCodePoints } from "./manifest.js";

export const RELEASE = "urn:assay:release:v1";
export const CARD = "urn:assay:card:v1";
export const ALIAS = "urn:assay:alias:v1";
export const KEY = "urn:assay:key:v1";

const REVISION = /^[0-9a-f]{40}$/;
const NAME = "[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?";
const MODEL = new RegExp(`^${NAME}/${NAME}$`);
const TEXT_LIMIT = 16_384;

/**
 * @typedef {{origin: string, treeSize: number, rootHash: string}} Observed the newest checkpoint
 *   that the signer has seen; `rootHash` in hex
 * @typedef {{path: string, sha256: string}} FileDigest
 */

/**
 * Return the payload of a `release` statement; its subjects are the files, sorted by path.
 *
 * @param {{observed: Observed, model: string, revision: string, version: string, manifest: string,
 *   card: string, license: string, previous: string | null}} fields
 * @param {FileDigest[]} files every file of the revision
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {FormatError} a field that the verifier would refuse
 */
export function releaseStatement(fields, files) {
  const sorted = [...files].sort((left, right) => compareCodePoints(left.path, right.path));
  const subjects = sorted.map(({ path, sha256 }) => {
    checkPath(path, "subject");
    return { name: path, sha256 };
  });
  const { observed, model, revision, version, manifest, card, license, previous } = fields;
  return statement(RELEASE, subjects, {
    observed: readObserved(observed),
    model: readModel(model),
    revision: readRevision(revision, "predicate.revision"),
    version: readText(version, "predicate.version"),
    manifest: readDigest(manifest, "predicate.manifest"),
    card: readDigest(card, "predicate.card"),
    license: readText(license, "predicate.license"),
    previous: previous === null ? null : readRevision(previous, "predicate.previous"),
  });
}

/**
 * Return the payload of a `card` statement; its subject is README.md.
 *
 * @param {{observed: Observed, model: string, revision: string, manifest: string,
 *   metadata: Record<string, unknown>}} fields `metadata` is the parsed front matter
 * @param {string} cardSha256 hex SHA-256 of README.md
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {FormatError} a field that the verifier would refuse
 */
export function cardStatement({ observed, model, revision, manifest, metadata }, cardSha256) {
  if (metadata === null || typeof metadata !== "object" || Array.isArray(metadata)) {
    throw new FormatError("is not an object", "predicate.metadata");
  }
  return statement(CARD, [{ name: "README.md", sha256: cardSha256 }], {
    observed: readObserved(observed),
    model: readModel(model),
    revision: readRevision(revision, "predicate.revision"),
    manifest: readDigest(manifest, "predicate.manifest"),
    metadata,
  });
}

/**
 * Return the payload of an `alias` statement; its subject is the manifest of the revision.
 *
 * @param {{observed: Observed, model: string, alias: string, revision: string,
 *   previous: string | null}} fields `previous` is where the alias stands now
 * @param {string} manifest digest of the revision's manifest
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {FormatError} a field that the verifier would refuse
 */
export function aliasStatement({ observed, model, alias, revision, previous }, manifest) {
  return statement(ALIAS, [{ name: "", sha256: manifest }], {
    observed: readObserved(observed),
    model: readModel(model),
    alias: readText(alias, "predicate.alias"),
    revision: readRevision(revision, "predicate.revision"),
    previous: previous === null ? null : readRevision(previous, "predicate.previous"),
  });
}

/**
 * Return the payload of a `key` statement about a publisher's key, which the key itself signs. The
 * subject is the key's SPKI DER, so its digest is the fingerprint.
 *
 * @param {{observed: Observed, owner: string, action?: "register" | "supersede" | "revoke",
 *   previous?: string | null}} fields `previous` is the fingerprint of the key whose place it takes
 * @param {Uint8Array} spki
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 * @throws {FormatError} a field that the verifier would refuse
 */
export async function keyStatement(
  { observed, owner, action = "register", previous = null },
  spki,
) {
  return statement(KEY, [{ name: "", sha256: await sha256Hex(spki) }], {
    observed: readObserved(observed),
    action,
    owner: readText(owner, "predicate.owner"),
    role: "publisher",
    publicKey: publicKeyPem(spki),
    previous: previous === null ? null : readDigest(previous, "predicate.previous"),
  });
}

function statement(predicateType, subjects, predicate) {
  if (subjects.length === 0) throw new FormatError("a statement has a subject", "subject");
  const subject = subjects.map(({ name, sha256 }, index) => {
    parseHex(sha256, `subject[${index}].digest.sha256`);
    return name ? { name, digest: { sha256 } } : { digest: { sha256 } };
  });
  return canonicalJson({ _type: STATEMENT_TYPE, subject, predicateType, predicate });
}

function readObserved(value) {
  const path = "predicate.observed";
  if (value === null || typeof value !== "object") throw new FormatError("is missing", path);
  if (!Number.isSafeInteger(value.treeSize) || value.treeSize < 0) {
    throw new FormatError("is not from 0 to 2^53 - 1", `${path}.treeSize`);
  }
  return {
    origin: readText(value.origin, `${path}.origin`),
    treeSize: value.treeSize,
    rootHash: readDigest(value.rootHash, `${path}.rootHash`),
  };
}

function readModel(value) {
  const path = "predicate.model";
  const good =
    typeof value === "string" && MODEL.test(value) && !/--|\.\.|\.git\/|\.git$/.test(value);
  if (!good) throw new FormatError("is not a model id (owner/name)", path);
  return value;
}

function readRevision(value, path) {
  if (typeof value !== "string" || !REVISION.test(value)) {
    throw new FormatError("is not a revision (40 hex digits)", path);
  }
  return value;
}

function readDigest(value, path) {
  parseHex(value, path);
  return value;
}

function readText(value, path) {
  if (typeof value !== "string" || value.length === 0 || value.length > TEXT_LIMIT) {
    throw new FormatError(`is not a text of 1 to ${TEXT_LIMIT} characters`, path);
  }
  return value;
}
