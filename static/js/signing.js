// What a publisher signs: checked as far as this browser can, then built here, byte for byte.
//
// The server proposes (GET …/signing). From its list of files the manifest digest is computed
// anew; files that this tab hashed must have the digests found then; README.md is fetched and
// hashed. The three statements are written by this browser and shown as they will be signed.

import { canonicalText } from "./assay/canonical.js";
import { sha256Hex } from "./assay/digests.js";
import { manifestDigest, omsStatement, resourcesFrom } from "./assay/manifest.js";
import { cardStatement, releaseStatement } from "./assay/statements.js";

export const CARD_PATH = "README.md";

/**
 * @typedef {object} Signing what the server proposes
 * @property {import("./assay/statements.js").Observed} observed
 * @property {string} model
 * @property {string} revision
 * @property {string} manifest
 * @property {import("./assay/manifest.js").Resource[]} resources
 * @property {{path: string, sha256: string}[]} files
 * @property {{sha256: string, metadata: Record<string, unknown>}} card
 * @property {string} license
 * @property {string | null} previous
 * @property {string} next_version
 *
 * @typedef {{state: "checked" | "failed" | "unknown" | "server", words: string}} Finding
 * @typedef {{oms: Uint8Array, card: Uint8Array, release: Uint8Array}} Payloads
 */

/**
 * Compare the proposal with what this browser knows. One `failed` finding forbids signing.
 *
 * @param {Signing} signing
 * @param {{model: string, revision: string, hashed: Map<string, string> | null,
 *   card: Uint8Array | null}} known `card` are the bytes of README.md as they were downloaded
 * @returns {Promise<Finding[]>}
 */
export async function checkSigning(signing, { model, revision, hashed, card }) {
  return [
    checkSame("the model", signing.model, model),
    checkSame("the revision", signing.revision, revision),
    await checkManifest(signing),
    ...(await checkCard(signing, card)),
    ...checkHashed(signing, hashed),
  ].filter((finding) => finding !== null);
}

/**
 * Build the three payloads.
 *
 * @param {Signing} signing
 * @param {string} version
 * @returns {Promise<Payloads>}
 * @throws {import("./assay/errors.js").FormatError} a field that the verifier would refuse
 */
export async function buildPayloads(signing, version) {
  const { observed, model, revision, manifest, files, card, license, previous } = signing;
  const resources = resourcesFrom(files.map(({ path, sha256 }) => [path, sha256]));
  const fields = { observed, model, revision, manifest };
  return {
    oms: await omsStatement(resources, model.split("/")[1] ?? model),
    card: cardStatement({ ...fields, metadata: card.metadata }, card.sha256),
    release: releaseStatement({ ...fields, version, card: card.sha256, license, previous }, files),
  };
}

function checkSame(what, found, expected) {
  if (found === expected) return null;
  const words = `this page is about ${expected}, the server says ${found}`;
  return failed(`${what} is another one: ${words}.`);
}

async function checkManifest({ files, resources, manifest }) {
  try {
    const ours = resourcesFrom(files.map(({ path, sha256 }) => [path, sha256]));
    if (canonicalText(ours) !== canonicalText(resources)) {
      return failed("the server's model signature lists other files than its release.");
    }
    const digest = await manifestDigest(ours);
    if (digest !== manifest) {
      return failed(`the manifest digest is ${digest}, the server says ${manifest}.`);
    }
    return checked(`the manifest digest, computed here from ${count(files.length, "file")}.`);
  } catch (error) {
    return failed(`the server's list of files is not one that can be signed: ${error.message}`);
  }
}

async function checkCard({ files, card }, bytes) {
  const listed = files.find(({ path }) => path === CARD_PATH)?.sha256;
  if (listed !== card.sha256) {
    return [failed(`the card's digest is ${card.sha256}, the list of files says ${listed}.`)];
  }
  if (bytes === null) {
    return [unknown(`${CARD_PATH} could not be downloaded, so its digest is the server's word.`)];
  }
  const digest = await sha256Hex(bytes);
  if (digest !== listed) {
    return [failed(`${CARD_PATH} hashes to ${digest}, the server says ${listed}.`)];
  }
  return [
    checked(`${CARD_PATH}, downloaded and hashed here.`),
    server("this is the card's metadata, as it stands in the statement below."),
  ];
}

function checkHashed({ files }, hashed) {
  if (hashed === null) {
    return [server("these are the files; they were not hashed in this tab.")];
  }
  const listed = new Map(files.map(({ path, sha256 }) => [path, sha256]));
  const findings = [];
  let same = 0;
  for (const path of new Set([...listed.keys(), ...hashed.keys()])) {
    const [theirs, ours] = [listed.get(path), hashed.get(path)];
    if (theirs === ours) same += 1;
    else if (path !== CARD_PATH) findings.push(failed(difference(path, theirs, ours)));
    else if (ours) findings.push(server(`${path} was edited after its upload.`));
  }
  const whole = `${count(same, "file")} of ${files.length}: the very bytes that this tab hashed.`;
  return same > 0 ? [checked(whole), ...findings] : findings;
}

function difference(path, theirs, ours) {
  if (ours === undefined) return `the server lists ${path}, which this tab did not upload.`;
  if (theirs === undefined) return `the server leaves out ${path}, which this tab uploaded.`;
  return `${path} was hashed here to ${ours}, the server says ${theirs}.`;
}

function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function checked(words) {
  return { state: "checked", words };
}

function failed(words) {
  return { state: "failed", words };
}

function unknown(words) {
  return { state: "unknown", words };
}

function server(words) {
  return { state: "server", words };
}
