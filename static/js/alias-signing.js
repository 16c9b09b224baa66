// What a publisher signs to move an alias: checked as far as this browser can, then built here.
//
// The server proposes (GET …/aliases/<alias>/signing). The page says which model, alias and version
// were asked for; the manifest digest is computed anew from the list of files. Where the alias
// stands now is the server's word, and it refuses the statement when that was not so.

import { manifestDigest, resourcesFrom } from "./assay/manifest.js";
import { aliasStatement } from "./assay/statements.js";

/**
 * @typedef {object} Proposal what the server proposes
 * @property {import("./assay/statements.js").Observed} observed
 * @property {string} model
 * @property {string} alias
 * @property {string} version
 * @property {string} revision
 * @property {string} manifest
 * @property {import("./assay/manifest.js").Resource[]} resources
 * @property {string | null} previous
 * @property {string | null} previous_version
 *
 * @typedef {{state: "checked" | "failed" | "server", words: string}} Finding
 */

/**
 * Compare the proposal with what was asked for. One `failed` finding forbids signing.
 *
 * @param {Proposal} proposal
 * @param {{model: string, alias: string, version: string}} asked
 * @returns {Promise<Finding[]>}
 */
export async function checkMove(proposal, asked) {
  const others = [
    different("model", proposal.model, asked.model),
    // The server keeps the spelling of an alias that exists.
    different("alias", proposal.alias?.toLowerCase(), asked.alias.toLowerCase()),
    different("version", proposal.version, asked.version),
    proposal.revision === proposal.previous
      ? { state: "failed", words: "the alias stands there already." }
      : null,
  ].filter((finding) => finding !== null);
  const from = proposal.previous_version ?? "nowhere: it is new";
  const present = { state: "server", words: `the alias stands at ${from}.` };
  return [...others, await checkManifest(proposal), present];
}

/**
 * Build the payload of the move.
 *
 * @param {Proposal} proposal
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {import("./assay/errors.js").FormatError} a field that the verifier would refuse
 */
export function buildMove({ observed, model, alias, revision, previous, manifest }) {
  return aliasStatement({ observed, model, alias, revision, previous }, manifest);
}

function different(what, found, asked) {
  if (found === asked) return null;
  return { state: "failed", words: `the ${what} is ${found}, this page asked for ${asked}.` };
}

async function checkManifest({ resources, manifest }) {
  try {
    const ours = resourcesFrom(resources.map(({ name, digest }) => [name, digest]));
    const digest = await manifestDigest(ours);
    if (digest !== manifest) {
      const words = `the manifest digest is ${digest}, the server says ${manifest}.`;
      return { state: "failed", words };
    }
    const files = `${ours.length} file${ours.length === 1 ? "" : "s"}`;
    return { state: "checked", words: `the manifest digest, computed here from ${files}.` };
  } catch (error) {
    const words = `the server's list of files is not one that can be signed: ${error.message}`;
    return { state: "failed", words };
  }
}
