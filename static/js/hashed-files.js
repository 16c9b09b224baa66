// What this tab hashed of a model's files, kept until they are signed: the signer's browser can
// then tell whether the server names the same bytes.

/** @typedef {{getItem(key: string): string | null, setItem(key: string, value: string): void,
 *   removeItem(key: string): void}} Keeper */

/**
 * @param {Keeper} keeper such as sessionStorage
 * @param {string} model
 * @param {{path: string, sha256: string}[]} files
 */
export function rememberHashed(keeper, model, files) {
  const pairs = Object.fromEntries(files.map(({ path, sha256 }) => [path, sha256]));
  try {
    keeper.setItem(keyOf(model), JSON.stringify(pairs));
  } catch {
    // A full or forbidden storage costs the later comparison, nothing else.
  }
}

/**
 * Return path to digest, or null when this tab hashed nothing of the model.
 *
 * @param {Keeper} keeper
 * @param {string} model
 * @returns {Map<string, string> | null}
 */
export function recallHashed(keeper, model) {
  try {
    const pairs = JSON.parse(keeper.getItem(keyOf(model)) ?? "null");
    return pairs && new Map(Object.entries(pairs));
  } catch {
    return null;
  }
}

/**
 * @param {Keeper} keeper
 * @param {string} model
 */
export function forgetHashed(keeper, model) {
  try {
    keeper.removeItem(keyOf(model));
  } catch {
    // As above.
  }
}

function keyOf(model) {
  return `assay-hashed:${model}`;
}
