// Where the model's bytes come from: the reader's folder, the reader's graph alone, or this site by
// digest. Whatever it is, nothing runs that was not compared with the receipt.

import { UnavailableError, VerificationError } from "../assay/errors.js";
import { checkPath, manifestDigest, parseManifest, resourcesFrom } from "../assay/manifest.js";
import { hash, readChecked } from "./bytes.js";
import { externalLocations, pathOfLocation } from "./onnx-data.js";

const MANIFEST_BYTES = 4 * 2 ** 20;

/**
 * @typedef {object} Place
 * @property {Map<string, string> | null} listed hex SHA-256 by path, compared with the receipt's
 *   manifest; null where the manifest is not at hand
 * @property {(name: string, sha256: string) => import("./bytes.js").Source} source
 * @property {string} words how the manifest was compared
 */

/**
 * Return the graph of the receipt and the external data that it reads.
 *
 * @param {import("./run.js").Job} job
 * @param {import("./run.js").Tools} tools
 * @returns {Promise<{graph: Uint8Array, external: {path: string, data: Uint8Array}[],
 *   words: string}>}
 * @throws {VerificationError} another model than the receipt's
 * @throws {FormatError} the graph is no protobuf, or names a file outside its folder
 * @throws {UnavailableError} a file cannot be had, or they are too large
 */
export async function readModel(job, tools) {
  const { path, sha256 } = job.predicate.graph;
  const place = await placeOf(job, tools);
  const budget = { left: job.limit };
  const graph = await read(place, path, sha256, "the graph of the receipt", budget, tools);
  const external = [];
  for (const location of externalLocations(graph)) {
    const name = pathOfLocation(path, location);
    checkPath(name, "external data");
    const digest = digestOf(place, name);
    const data = await read(place, name, digest, "the file of the manifest", budget, tools);
    external.push({ path: location, data });
  }
  const { length } = external;
  const beside = length ? ` and ${length} file${length > 1 ? "s" : ""} of external data` : "";
  return { graph, external, words: `graph ${sha256}${beside}; ${place.words}` };
}

function placeOf(job, tools) {
  if (job.files.length === 0) return site(job, tools);
  return job.files.length === 1 ? graphAlone(job) : folder(job, tools);
}

/** The reader's folder: its manifest is the receipt's, or it is another model. */
async function folder({ files, predicate }, tools) {
  const pairs = [];
  for (const [path, blob] of files) {
    const onProgress = (done, total) => tools.onProgress(`hashing ${path}`, done, total);
    pairs.push([path, await hash({ blob }, { name: path, ...tools, onProgress })]);
  }
  const [expected, found] = [predicate.manifest, await manifestDigest(resourcesFrom(pairs))];
  if (found !== expected) {
    throw new VerificationError("the folder is another model", { expected, found });
  }
  const blobs = new Map(files);
  const listed = new Map(pairs);
  checkListed(listed, predicate);
  return { listed, source: (name) => ({ blob: blobs.get(name) }), words: `manifest ${found}` };
}

/** One file of the reader's, whatever its name: the graph. */
function graphAlone({ files: [[, blob]], predicate }) {
  const source = (name) => {
    if (name === predicate.graph.path) return { blob };
    throw new UnavailableError("the graph reads files beside it: give the whole model folder");
  };
  return { listed: null, source, words: "the manifest was not compared: it takes the folder" };
}

/** This site, which is asked by digest and believed in nothing. */
async function site({ predicate }, { createSHA256 }) {
  const source = (name, sha256) => ({ url: `/sha256/${sha256}` });
  const { manifest: sha256 } = predicate;
  const whose = "the manifest of the receipt";
  const options = { name: "the manifest", whose, sha256, limit: MANIFEST_BYTES, createSHA256 };
  let data;
  try {
    data = await readChecked({ url: `/sha256/${sha256}` }, options);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    return { listed: null, source, words: `the manifest was not compared: ${error.message}` };
  }
  const listed = new Map(parseManifest(data).map(({ name, digest }) => [name, digest]));
  checkListed(listed, predicate);
  return { listed, source, words: `manifest ${sha256}` };
}

function checkListed(listed, { graph }) {
  if (listed.get(graph.path) === graph.sha256) return;
  throw new VerificationError("the manifest lists another graph", {
    expected: `${graph.path} ${graph.sha256}`,
    found: listed.get(graph.path) ?? `no ${graph.path}`,
  });
}

function digestOf({ listed, source }, name) {
  const digest = listed?.get(name);
  if (digest) return digest;
  source(name, ""); // says so where there is only a graph
  if (!listed) throw new UnavailableError(`"${name}" cannot be compared without the manifest`);
  throw new VerificationError(`the graph reads "${name}", which the manifest does not list`);
}

async function read(place, name, sha256, whose, budget, { createSHA256, onProgress }) {
  const bytes = await readChecked(place.source(name, sha256), {
    ...{ name, whose, sha256, createSHA256, limit: budget.left },
    onProgress: (done, total) => onProgress(`reading ${name}`, done, total),
  });
  budget.left -= bytes.length;
  return bytes;
}
