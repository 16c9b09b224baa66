// Files that a reader picked or dropped, with the paths that they will have in the model.

const JUNK = new Set([".ds_store", "thumbs.db", "desktop.ini"]);

/** @typedef {{path: string, file: File}} Chosen */

/**
 * Return the files of an `<input type=file>`; a chosen folder's own name is not part of the paths.
 *
 * @param {Iterable<File>} files
 * @returns {Chosen[]}
 */
export function fromInput(files) {
  return Array.from(files, (file) => {
    const path = file.webkitRelativePath || "";
    return { path: normalPath(path.includes("/") ? withoutFirst(path) : file.name), file };
  });
}

/**
 * Return the files of a drop, folders read through; of one dropped folder, the name is left out.
 *
 * @param {DataTransfer} transfer
 * @returns {Promise<Chosen[]>}
 */
export async function fromDrop(transfer) {
  // The entries are gone after the first await, so they are all taken at once.
  const entries = Array.from(transfer.items ?? [], (item) => item.webkitGetAsEntry?.());
  const known = entries.filter(Boolean);
  if (known.length === 0) return fromInput(transfer.files);
  const found = (await Promise.all(known.map(read))).flat();
  const oneFolder = known.length === 1 && known[0].isDirectory;
  return found.map(({ path, file }) => ({
    path: normalPath(oneFolder ? withoutFirst(path) : path),
    file,
  }));
}

/**
 * Say why a file is left out, or return "" when it goes along.
 *
 * @param {string} path
 * @returns {string}
 */
export function skipReason(path) {
  const segments = path.toLowerCase().split("/");
  if (segments.includes(".git")) return "belongs to Git";
  if (path.toLowerCase() === "model.sig") return "is written by the registry";
  if (JUNK.has(segments.at(-1))) return "is left by the operating system";
  return "";
}

/** Return the path in Unicode normal form C: macOS writes the other form. */
function normalPath(path) {
  return path.normalize("NFC");
}

function withoutFirst(path) {
  return path.slice(path.indexOf("/") + 1);
}

async function read(entry) {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) {
    return [{ path, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found; // a reader gives up to 100 entries at a time
    found.push(...(await Promise.all(some.map(read))).flat());
  }
}
