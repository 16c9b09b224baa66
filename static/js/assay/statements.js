// The statements that a publisher signs in the browser: in-toto Statement v1, RFC 8785.
//
// Each builder returns the payload: the exact bytes that are shown, signed and logged. A value that
// the verifier would refuse is refused here, before anybody signs it.

import { canonicalJson } from "./canonical.js";
import { parseHex, sha256Hex } from "./digests.js";
import { publicKeyPem } from "./dsse.js";
import { FormatError } from "./errors.js";
import { checkPath, compareCodePoints } from "./manifest.js";
import * as read from "./statements/fields.js";
import { ALIAS, CARD, KEY, RELEASE, STATEMENT_TYPE } from "./statements/index.js";

export { ALIAS, CARD, KEY, RELEASE } from "./statements/index.js";

const readMoved = read.nullable(read.revision);
const readFormer = read.nullable(read.digest);

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
    model: read.model(model, "predicate.model"),
    revision: read.revision(revision, "predicate.revision"),
    version: read.text(version, "predicate.version"),
    manifest: read.digest(manifest, "predicate.manifest"),
    card: read.digest(card, "predicate.card"),
    license: read.text(license, "predicate.license"),
    previous: readMoved(previous, "predicate.previous"),
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
  return statement(CARD, [{ name: "README.md", sha256: cardSha256 }], {
    observed: readObserved(observed),
    model: read.model(model, "predicate.model"),
    revision: read.revision(revision, "predicate.revision"),
    manifest: read.digest(manifest, "predicate.manifest"),
    metadata: read.jsonObject(metadata, "predicate.metadata"),
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
    model: read.model(model, "predicate.model"),
    alias: read.text(alias, "predicate.alias"),
    revision: read.revision(revision, "predicate.revision"),
    previous: readMoved(previous, "predicate.previous"),
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
    owner: read.text(owner, "predicate.owner"),
    role: "publisher",
    publicKey: publicKeyPem(spki),
    previous: readFormer(previous, "predicate.previous"),
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

/** Take the three fields of a checkpoint, whatever else the server's answer holds. */
function readObserved(value) {
  const path = "predicate.observed";
  const { origin, treeSize, rootHash } = read.jsonObject(value, path);
  return {
    origin: read.text(origin, `${path}.origin`),
    treeSize: read.size(treeSize, `${path}.treeSize`),
    rootHash: read.digest(rootHash, `${path}.rootHash`),
  };
}
