// Checkpoints: what a log says about itself, in three lines (C2SP tlog-checkpoint).
//
//     ledger.example.org
//     259
//     4Cuo9axNy+yfivXvmtH2ovSbbd4kwY0VTYolVlDrEV0=
//
// The text is parsed, printed again and compared, so each checkpoint has one spelling. Nothing here
// verifies a signature: `verifyCheckpoint` of policy.js does.

import { decodeBase64, encodeBase64 } from "./base64.js";
import { parseDecimal } from "./canonical.js";
import { FormatError } from "./errors.js";
import { LIMITS } from "./limits.js";

const ROOT_BYTES = 32;
const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const HOST = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const encoder = new TextEncoder();

/** The tree of `size` leaves under the 32-byte `root`, in the log named `origin`. */
export class Checkpoint {
  /**
   * @param {{origin: string, size: bigint, root: Uint8Array,
   *   extensions?: readonly string[]}} fields
   */
  constructor({ origin, size, root, extensions = [] }) {
    this.origin = origin;
    this.size = size;
    this.root = root;
    this.extensions = Object.freeze([...extensions]);
    Object.freeze(this);
  }

  /** The text that is signed; every line ends in a newline. */
  get text() {
    const lines = [this.origin, String(this.size), encodeBase64(this.root), ...this.extensions];
    return lines.map((line) => `${line}\n`).join("");
  }
}

/**
 * Parse a checkpoint's text, strictly. Extension lines are read and never written.
 *
 * @param {string} text
 * @returns {Checkpoint}
 * @throws {FormatError} fewer than three lines, an empty line, a size that is not a plain decimal
 *   below 2^63, a root that is not canonical base64 of 32 bytes, or no newline at the end
 */
export function parseCheckpoint(text) {
  const lines = text.split("\n").slice(0, -1);
  if (lines.length < 3 || lines.includes("")) {
    throw new FormatError("a checkpoint has an origin, a tree size, a root hash, no empty line");
  }
  const [origin, size, root, ...extensions] = lines;
  if (encoder.encode(origin).length > LIMITS.origin) {
    throw new FormatError(`an origin is at most ${LIMITS.origin} bytes`);
  }
  const checkpoint = new Checkpoint({
    origin,
    size: parseDecimal(size, "tree size"),
    root: decodeBase64(root, "root hash"),
    extensions,
  });
  if (checkpoint.root.length !== ROOT_BYTES || checkpoint.text !== text) {
    throw new FormatError("a checkpoint has a root of 32 bytes and ends in a newline");
  }
  return checkpoint;
}

/**
 * Say whether `value` is a bare host name in lower case, as our origins are.
 *
 * @param {string} value
 * @returns {boolean}
 */
export function isOrigin(value) {
  return value.length <= LIMITS.origin && HOST.test(value);
}

/** A checkpoint whose signatures were verified; `policy.js` makes it. */
export class VerifiedCheckpoint {
  /**
   * @param {{checkpoint: Checkpoint, note: Uint8Array,
   *   witnesses: readonly {name: string, time: bigint}[]}} fields `note` is the signed note, whole;
   *   `witnesses` are the policy's witnesses that cosigned, in its order: the name of the key and
   *   the time in POSIX seconds
   */
  constructor({ checkpoint, note, witnesses }) {
    this.checkpoint = checkpoint;
    this.note = note;
    this.witnesses = Object.freeze(witnesses.map((witness) => Object.freeze({ ...witness })));
    Object.freeze(this);
  }

  /** The earliest cosignature in POSIX seconds, or null: the tree existed by then. */
  get witnessedAt() {
    const times = this.witnesses.map(({ time }) => time);
    return times.length ? times.reduce((first, time) => (time < first ? time : first)) : null;
  }
}
