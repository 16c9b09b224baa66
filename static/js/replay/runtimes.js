// The runtimes that this page can run: programs, named by the digest over their files.
//
// A digest in a receipt is no reason to run what a server sends. Only a runtime of this list is
// loaded, from this site's own folder, after its files were compared with the receipt's.

import { FormatError, UnavailableError } from "../assay/errors.js";
import { readChecked } from "./bytes.js";

// Digests over the three files of the published npm package (their raw digests, in name order).
const KNOWN = Object.freeze({
  "3b51fdee3c3bca55a8374f7c1f93963eaf5940907ae3387354b33af71550606d": "onnxruntime-web-1.30.0",
});
const WASM = "ort-wasm-simd-threaded.wasm";
const NAMES = Object.freeze(["ort-wasm-simd-threaded.mjs", WASM, "ort.wasm.min.mjs"]);
const FILE_BYTES = 64 * 2 ** 20;

/**
 * Return the folder of a runtime that is known here, as an absolute address.
 *
 * @param {import("../assay/statements/parts.js").Runtime} runtime
 * @returns {string}
 * @throws {UnavailableError} this kind, or this runtime, is not run in a browser
 * @throws {FormatError} not the three files of onnxruntime-web
 */
export function folderOf(runtime) {
  if (runtime.kind !== "portable") {
    throw new UnavailableError(`a ${runtime.kind} runtime is not replayed in a browser`);
  }
  if (runtime.threads !== 1) {
    throw new UnavailableError(`a page has one thread, the receipt's run had ${runtime.threads}`);
  }
  const folder = Object.hasOwn(KNOWN, runtime.digest) ? KNOWN[runtime.digest] : "";
  if (!folder) {
    const name = `${runtime.name} ${runtime.version} (${runtime.digest})`;
    throw new UnavailableError(`the runtime ${name} is not known to this page`);
  }
  if (NAMES.some((name, place) => runtime.files[place]?.name !== name)) {
    throw new FormatError("is not the three files of onnxruntime-web", "runtime.files");
  }
  return new URL(`../../vendor/${folder}/`, import.meta.url).href;
}

/**
 * Compare the runtime's files with the receipt's and load it.
 *
 * @param {import("../assay/statements/parts.js").Runtime} runtime
 * @param {{createSHA256: () => Promise<any>, onProgress?: (done: number, total: number) => void,
 *   load?: (url: string) => Promise<any>}} options
 * @returns {Promise<any>} the module of onnxruntime-web, ready to make sessions
 * @throws {VerificationError} a file is another one than the receipt's
 * @throws {UnavailableError} as `folderOf`, or a file cannot be had
 */
export async function loadRuntime(runtime, { createSHA256, onProgress, load = loadModule }) {
  const folder = folderOf(runtime);
  const files = new Map();
  for (const { name, sha256 } of runtime.files) {
    const source = { url: folder + name };
    const whose = "the file of the receipt's runtime";
    const options = { name, whose, sha256, limit: FILE_BYTES, createSHA256, onProgress };
    files.set(name, await readChecked(source, options));
  }
  const ort = await load(`${folder}ort.wasm.min.mjs`);
  ort.env.logLevel = "fatal";
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = folder;
  // The very bytes that were compared, and no second answer of the server.
  ort.env.wasm.wasmBinary = files.get(WASM);
  return ort;
}

function loadModule(url) {
  return import(url);
}
