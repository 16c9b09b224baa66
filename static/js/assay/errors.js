// What can go wrong, as one tree: a wrong call, malformed bytes, a lie, and no answer. The families
// are those of `assay.errors`, with the same words; a reader acts differently on each.

/** These bytes or values are not the format. */
export class FormatError extends Error {
  /**
   * @param {string} message
   * @param {string} [path] the field, like `predicate.observed.treeSize`
   */
  constructor(message, path = "") {
    super(path ? `${path}: ${message}` : message);
    this.name = "FormatError";
    this.path = path;
  }
}

/** The format is right, the claim is not. */
export class VerificationError extends Error {
  /**
   * @param {string} message
   * @param {{expected?: string, found?: string}} [values] what should have been there, what was;
   *   both empty where there are no two values
   */
  constructor(message, { expected = "", found = "" } = {}) {
    super(expected || found ? `${message} (expected ${expected}, found ${found})` : message);
    this.name = "VerificationError";
    this.expected = expected;
    this.found = found;
  }
}

/** Two signed checkpoints of one origin that cannot both be true. */
export class SplitViewError extends VerificationError {
  /**
   * @param {string} message
   * @param {{first: Uint8Array, second: Uint8Array}} notes the two signed notes, whole: together
   *   they are evidence that anyone can check again
   */
  constructor(message, { first, second }) {
    super(message);
    this.name = "SplitViewError";
    this.first = first;
    this.second = second;
  }
}

/** The caller asked for what cannot be asked, or this browser cannot do it. */
export class MisuseError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "MisuseError";
  }
}

/** The check could not be made: the network, a file or a program did not answer. */
export class UnavailableError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "UnavailableError";
  }
}

/** Whoever was asked answered that there is no such thing: a 404, a file that is not there. */
export class MissingError extends UnavailableError {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "MissingError";
  }
}

/** The words of the families, the more special class first. */
const FAMILIES = /** @type {[new (...args: any[]) => Error, string][]} */ ([
  [SplitViewError, "split view"],
  [VerificationError, "refused"],
  [FormatError, "malformed"],
  [MisuseError, "usage"],
  [UnavailableError, "could not check"],
]);

/**
 * Return the family of `error` in one word or two: "usage", "malformed", "refused", "split view",
 * "could not check"; null for an error that nobody here raised on purpose, which is a bug and never
 * a verdict.
 *
 * @param {unknown} error
 * @returns {"usage" | "malformed" | "refused" | "split view" | "could not check" | null}
 */
export function family(error) {
  return FAMILIES.find(([kind]) => error instanceof kind)?.[1] ?? null;
}
