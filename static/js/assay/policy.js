// Whom to believe: which logs, witnesses and quorum must agree before a checkpoint counts.
//
// The policy (C2SP tlog-policy) and the trusted root (trusted-root.js) are pinned by the reader,
// never taken from the log that is checked. A name is defined before it is used, a witness or group
// is a member once, no key stands twice, and there is exactly one `quorum` line. `verifyCheckpoint`
// fails closed: the quorum is met, or there is no verified checkpoint.

import { decodeUtf8, parseDecimal } from "./canonical.js";
import { VerifiedCheckpoint, parseCheckpoint } from "./checkpoint.js";
import { equalBytes, toHex } from "./digests.js";
import { FormatError, MisuseError, VerificationError } from "./errors.js";
import { LIMITS } from "./limits.js";
import { EMPTY_ROOT } from "./merkle.js";
import { COSIGNATURE, ED25519, VKey, openNote, parseNote } from "./note.js";

export { LogKey, TrustedRoot, parseTrustedRoot } from "./trusted-root.js";

export const NO_QUORUM = "none";
const [TAB, NEWLINE, SPACE, DELETE] = [0x09, 0x0a, 0x20, 0x7f];

/**
 * @typedef {{vkey: VKey, url: string}} PolicyKey the key of a log or witness, and its URL or `""`
 * @typedef {{threshold: number, members: readonly string[]}} Group of whose members so many must
 *   have cosigned
 */

/** A parsed policy; `groups` are in the order of their definition, members first. */
export class TlogPolicy {
  /**
   * @param {{logs: readonly PolicyKey[], witnesses: ReadonlyMap<string, PolicyKey>,
   *   groups: ReadonlyMap<string, Group>, quorum: string}} fields
   */
  constructor({ logs, witnesses, groups, quorum }) {
    this.logs = Object.freeze([...logs]);
    this.witnesses = witnesses;
    this.groups = groups;
    this.quorum = quorum;
    Object.freeze(this);
  }

  /**
   * Say whether the witnesses `names`, as the policy calls them, are enough.
   *
   * @param {Iterable<string>} names
   * @returns {boolean}
   */
  quorumMet(names) {
    const met = new Set([...names].filter((name) => this.witnesses.has(name)));
    for (const [name, { threshold, members }] of this.groups) {
      if (members.filter((member) => met.has(member)).length >= threshold) met.add(name);
    }
    return this.quorum === NO_QUORUM || met.has(this.quorum);
  }
}

/**
 * Parse a policy in the format of C2SP tlog-policy.
 *
 * @param {Uint8Array | string} text
 * @returns {Promise<TlogPolicy>}
 * @throws {FormatError} anything that the format does not allow; the path names the line
 */
export async function parsePolicy(text) {
  const data = typeof text === "string" ? new TextEncoder().encode(text) : text;
  if (data.length > LIMITS.policy) {
    throw new FormatError(`a policy is at most ${LIMITS.policy} bytes`);
  }
  if (data.some(isForbidden)) {
    throw new FormatError("a policy has no control character but tab and newline");
  }
  if (data.at(-1) !== NEWLINE) {
    throw new FormatError("the last line of a policy ends in a newline");
  }
  const builder = new PolicyBuilder();
  for (const [index, words] of wordsOf(data).entries()) {
    if (words.length && !words[0].startsWith("#")) await builder.add(words, `line ${index + 1}`);
  }
  return builder.finish();
}

function isForbidden(byte) {
  return (byte < SPACE && byte !== TAB && byte !== NEWLINE) || byte === DELETE;
}

/** Return the words of each line. */
function wordsOf(data) {
  const lines = [[]];
  let start = 0;
  data.forEach((byte, at) => {
    if (byte !== NEWLINE && byte !== SPACE && byte !== TAB) return;
    if (at > start) lines.at(-1).push(wordOf(data.subarray(start, at)));
    if (byte === NEWLINE) lines.push([]);
    start = at + 1;
  });
  return lines;
}

/** Return a word as text. Bytes that are not UTF-8 stay apart as halves of pairs, as names must. */
function wordOf(bytes) {
  try {
    return decodeUtf8(bytes);
  } catch {
    const apart = (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte);
    return Array.from(bytes, apart).join("");
  }
}

/** What the lines so far define. */
class PolicyBuilder {
  #logs = [];
  #witnesses = new Map();
  #groups = new Map();
  #quorum = null;
  #keys = new Set();
  #members = new Set();

  async add([keyword, ...words], path) {
    const [name, second, ...rest] = words;
    if (keyword === "log" && (words.length === 1 || words.length === 2)) {
      this.#logs.push(await this.#key(name, second, ED25519, path));
    } else if (keyword === "witness" && (words.length === 2 || words.length === 3)) {
      this.#checkNew(name, path);
      this.#witnesses.set(name, await this.#key(second, rest[0], COSIGNATURE, path));
    } else if (keyword === "group" && words.length > 2) {
      this.#checkNew(name, path);
      this.#groups.set(name, this.#group(second, rest, path));
    } else if (keyword === "quorum" && words.length === 1) {
      if (this.#quorum !== null) throw new FormatError("a policy has one quorum", path);
      if (name !== NO_QUORUM) this.#checkDefined(name, path);
      this.#quorum = name;
    } else {
      throw new FormatError("not a line of a policy", path);
    }
  }

  async #key(text, url, kind, path) {
    const vkey = await VKey.parse(text, path);
    if (vkey.kind !== kind) {
      throw new FormatError(`the key has type 0${vkey.kind}, not 0${kind}`, path);
    }
    const key = toHex(vkey.key);
    if (this.#keys.has(key)) throw new FormatError("the key stands twice", path);
    this.#keys.add(key);
    return Object.freeze({ vkey, url: url ?? "" });
  }

  #group(threshold, members, path) {
    for (const member of members) {
      this.#checkDefined(member, path);
      if (this.#members.has(member)) throw new FormatError(`'${member}' is a member twice`, path);
      this.#members.add(member);
    }
    const named = new Map([
      ["any", 1n],
      ["all", BigInt(members.length)],
    ]);
    const needed = named.get(threshold) ?? parseDecimal(threshold, path);
    if (needed < 1n || needed > BigInt(members.length)) {
      throw new FormatError(`${needed} of ${members.length} members`, path);
    }
    return Object.freeze({ threshold: Number(needed), members: Object.freeze(members) });
  }

  #checkNew(name, path) {
    if (name === NO_QUORUM || this.#witnesses.has(name) || this.#groups.has(name)) {
      throw new FormatError(`the name '${name}' is taken`, path);
    }
  }

  #checkDefined(name, path) {
    if (!this.#witnesses.has(name) && !this.#groups.has(name)) {
      throw new FormatError(`the name '${name}' is not defined above`, path);
    }
  }

  finish() {
    if (this.#quorum === null) throw new FormatError("a policy has a quorum line");
    return new TlogPolicy({
      logs: this.#logs,
      witnesses: this.#witnesses,
      groups: this.#groups,
      quorum: this.#quorum,
    });
  }
}

/**
 * Verify a signed checkpoint; without a policy no witness is asked for.
 *
 * 1. Note and checkpoint, syntax only.
 * 2. The origin is `origin`; the policy, where it names logs, names this one.
 * 3. Every line of the log and of the policy's witnesses verifies; the log's is there.
 * 4. A tree of size 0 has the root of nothing.
 * 5. The quorum is met.
 *
 * Whether the tree extends an earlier one is another question (`checkConsistency`).
 *
 * @param {Uint8Array} note
 * @param {{origin: string, log: VKey, policy?: TlogPolicy | null}} options
 * @returns {Promise<VerifiedCheckpoint>}
 * @throws {MisuseError} `log` is no Ed25519 key of type 01 named `origin`
 * @throws {FormatError} not a signed checkpoint
 * @throws {VerificationError} anything else than asked for above
 * @throws {import("./errors.js").UnavailableError} this browser has no Ed25519
 */
export async function verifyCheckpoint(note, { origin, log, policy = null }) {
  if (log.kind !== ED25519 || log.name !== origin) {
    throw new MisuseError(`${log} is no log key named ${origin}`);
  }
  const checkpoint = parseCheckpoint(parseNote(note).text);
  if (checkpoint.origin !== origin) {
    throw new VerificationError("the checkpoint is another log's", {
      expected: origin,
      found: checkpoint.origin,
    });
  }
  if (policy?.logs.length && !policy.logs.some(({ vkey }) => String(vkey) === String(log))) {
    throw new VerificationError(`the policy does not name the log ${log}`);
  }
  const witnesses = [...(policy?.witnesses ?? [])];
  const opened = await openNote(note, [log, ...witnesses.map(([, { vkey }]) => vkey)]);
  if (!opened.verified.some((vkey) => String(vkey) === String(log))) {
    throw new VerificationError("the log did not sign the checkpoint");
  }
  checkEmpty(checkpoint);
  const signed = witnesses.filter(([, { vkey }]) => opened.times.has(String(vkey)));
  checkQuorum(
    policy,
    signed.map(([name]) => name),
  );
  return new VerifiedCheckpoint({
    checkpoint,
    note,
    witnesses: signed.map(([, { vkey }]) => ({
      name: vkey.name,
      time: opened.times.get(String(vkey)),
    })),
  });
}

function checkEmpty({ size, root }) {
  if (size === 0n && !equalBytes(root, EMPTY_ROOT)) {
    throw new VerificationError("the empty tree has another root", {
      expected: toHex(EMPTY_ROOT),
      found: toHex(root),
    });
  }
}

function checkQuorum(policy, names) {
  if (policy && !policy.quorumMet(names)) {
    throw new VerificationError("the witnesses that cosigned are no quorum", {
      expected: policy.quorum,
      found: names.join(", ") || "none",
    });
  }
}
