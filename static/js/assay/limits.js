// Every maximum of the formats, in one frozen value: the figures of `assay.limits`. A parser that
// meets one of these throws `FormatError` before it allocates.

/** Maxima in bytes unless the name says otherwise. */
export const LIMITS = Object.freeze({
  jsonDepth: 64,
  bundle: 4 * 2 ** 20,
  statement: 2 ** 20,
  note: 10 ** 6,
  noteSignatures: 100,
  entry: 65_535,
  rekorRequest: 2 ** 16,
  origin: 253,
  proofHashes: 63,
  policy: 2 ** 18,
  trustedRoot: 2 ** 20,
  manifestFiles: 10_000,
  path: 1_024,
  pathSegment: 255,
  pathDepth: 32,
  tensors: 256,
  tensorName: 4_096,
  tensorRank: 16,
  tensorDim: 2 ** 40,
  tensorBytes: 2 ** 31 - 1,
  bytesElements: 1_000_000,
  bytesElement: 2 ** 20,
});
