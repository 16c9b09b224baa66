// What a reader drops, told apart by what it is: nothing is asked of them, and names mean little.

import { LIMITS } from "./sources.js";

const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
const TENSORS = "assay-tensors-v1\n";
const HEAD_BYTES = 64;

/**
 * @typedef {"receipt" | "trustedRoot" | "keys" | "policy" | "tensors" | "model"} Kind
 * @typedef {{kind: Kind, path: string, file: Blob, bytes?: Uint8Array<ArrayBuffer>}} Handed
 *   `bytes` of what is small, or compared whole; a model's files are read where they run
 */

/**
 * Say what a file is.
 *
 * @param {{path: string, file: Blob}} chosen
 * @returns {Promise<Handed>}
 */
export async function recognise({ path, file }) {
  const head = new TextDecoder().decode(await bytesOf(file.slice(0, HEAD_BYTES)));
  if (head.startsWith(TENSORS)) {
    if (file.size > LIMITS.tensors) return { kind: "model", path, file };
    return { kind: "tensors", path, file, bytes: await bytesOf(file) };
  }
  if (file.size > LIMITS.bundle) return { kind: "model", path, file };
  const kind = await kindOfDocument(file, head);
  return kind ? { kind, path, file, bytes: await bytesOf(file) } : { kind: "model", path, file };
}

async function kindOfDocument(file, head) {
  const text = /^\s*[{#\w]/.test(head) ? await file.text() : "";
  if (text.trimStart().startsWith("{")) return kindOfJson(text);
  return /^quorum[ \t]/m.test(text) && /^(?:log|witness)[ \t]/m.test(text) ? "policy" : "";
}

function kindOfJson(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    // Cut or forged in the middle: whoever dropped it takes it for a receipt, and is told so.
    return text.includes("dsseEnvelope") ? "receipt" : "";
  }
  if (value?.mediaType === TRUSTED_ROOT) return "trustedRoot";
  if (value?.mediaType === BUNDLE || value?.dsseEnvelope) return "receipt";
  return Array.isArray(value?.keys) ? "keys" : "";
}

async function bytesOf(blob) {
  return new Uint8Array(await blob.arrayBuffer());
}

/** What the reader handed in so far; of each kind the newest counts, and a model may be a folder. */
export class Hands {
  receipt = null;
  documents = {};
  /** @type {Handed[]} */
  tensors = [];
  /** @type {Map<string, Blob>} */
  model = new Map();

  /** @param {Handed} handed */
  take(handed) {
    if (handed.kind === "receipt") this.receipt = handed;
    else if (handed.kind === "tensors") this.tensors.push(handed);
    else if (handed.kind === "model") this.model.set(handed.path, handed.file);
    else this.documents[handed.kind] = handed;
  }

  /** @returns {{words: string, paths: string}[]} what there is, for people */
  get told() {
    const words = {
      ...{ trustedRoot: "trusted root", policy: "witness policy", keys: "list of keys" },
    };
    const documents = Object.entries(this.documents);
    const folder = this.model.size > 1 ? `model folder of ${this.model.size} files` : "model file";
    return [
      ...(this.receipt ? [{ words: "receipt", paths: this.receipt.path }] : []),
      ...this.tensors.map(({ path }) => ({ words: "tensors", paths: path })),
      ...(this.model.size ? [{ words: folder, paths: [...this.model.keys()].join(", ") }] : []),
      ...documents.map(([kind, { path }]) => ({ words: words[kind], paths: path })),
    ];
  }

  /** @returns {Record<string, Uint8Array>} the documents that the reader believes */
  get believed() {
    return Object.fromEntries(
      Object.entries(this.documents).map(([kind, { bytes }]) => [kind, bytes]),
    );
  }

  /**
   * Return the tensors that are named like a set; where one file alone was dropped, it may be either.
   *
   * @param {"input" | "output"} which
   * @returns {Uint8Array<ArrayBuffer> | null}
   */
  tensorsOf(which) {
    const named = this.tensors.filter(({ path }) => path.toLowerCase().includes(which));
    return named.at(-1)?.bytes ?? null;
  }

  /** @returns {Uint8Array<ArrayBuffer>[]} the sets whose names say neither */
  get unnamed() {
    return this.tensors.filter(({ path }) => !/input|output/i.test(path)).map(({ bytes }) => bytes);
  }
}
