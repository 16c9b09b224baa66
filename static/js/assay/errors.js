// The three families of the verifier: the words are those of `assay.errors`.

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
   * @param {{expected?: string, found?: string}} [values] what should have been there, what was
   */
  constructor(message, { expected, found } = {}) {
    super(expected === undefined ? message : `${message}: expected ${expected}, found ${found}`);
    this.name = "VerificationError";
    this.expected = expected;
    this.found = found;
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
