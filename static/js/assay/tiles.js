// Hashes of complete subtrees out of a log's tiles (C2SP tlog-tiles).
//
// Nothing here is trusted: a tile's width is checked and nothing else. A proof that is made of these
// hashes counts once `checkConsistency` has led it to two signed roots.
//
//     const reader = new TileReader((path) => fetchBytes(`/log/${path}`), tree.size);
//     const proof = await proveConsistency(200n, tree.size, reader);

import { FormatError, MisuseError, UnavailableError } from "./errors.js";
import { nodeHash } from "./merkle.js";

export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8; // a tile spans this many levels of the tree
const HASH_BYTES = 32;

/**
 * @typedef {(path: string) => Promise<Uint8Array>} TileSource the bytes under the log's prefix
 *   (`tile/0/x001/067.p/3`); UnavailableError when they cannot be had
 */

/**
 * Return a tile's path under the log's prefix.
 *
 * @param {number} level 0…63
 * @param {number} index
 * @param {number} [width] of a partial tile
 * @returns {string}
 */
export function tilePath(level, index, width = TILE_WIDTH) {
  const groups = [String(index % 1000).padStart(3, "0")];
  for (let rest = Math.floor(index / 1000); rest; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  }
  return `tile/${level}/${groups.join("/")}${width === TILE_WIDTH ? "" : `.p/${width}`}`;
}

/**
 * Return the hashes, 32 bytes each, of a tile of `width`.
 *
 * @param {Uint8Array} data
 * @param {number} width
 * @returns {Uint8Array[]}
 * @throws {FormatError} another number of bytes
 */
export function decodeHashes(data, width) {
  if (data.length !== width * HASH_BYTES) {
    throw new FormatError(`a tile of width ${width} has ${width * HASH_BYTES} bytes`);
  }
  return Array.from({ length: width }, (_, place) =>
    data.slice(place * HASH_BYTES, (place + 1) * HASH_BYTES),
  );
}

/** Hashes out of the tiles of a log of `size` entries. Keeps the tiles that it read. */
export class TileReader {
  #source;
  #size;
  /** @type {Map<string, Promise<Uint8Array[]>>} */
  #tiles = new Map();

  /**
   * @param {TileSource} source
   * @param {bigint | number} size below 2^53: what a browser counts exactly
   * @throws {MisuseError} a larger one
   */
  constructor(source, size) {
    this.#source = source;
    this.#size = Number(size);
    if (!Number.isSafeInteger(this.#size)) throw new MisuseError(`${size} entries are too many`);
  }

  /**
   * Return the hash of the complete subtree over the 2^`level` leaves number `index`.
   *
   * @param {number} level
   * @param {number} index
   * @returns {Promise<Uint8Array>}
   * @throws {MisuseError} the log has no such complete subtree
   * @throws {FormatError} a tile of another width than its path says
   * @throws {UnavailableError} neither the partial nor the full tile can be had
   */
  async read(level, index) {
    if (level < 0 || index < 0 || (index + 1) * 2 ** level > this.#size) {
      throw new MisuseError(`a log of ${this.#size} entries has no subtree ${level}/${index}`);
    }
    const inner = level % TILE_HEIGHT;
    const first = index * 2 ** inner;
    const row = await this.#tile((level - inner) / TILE_HEIGHT, Math.floor(first / TILE_WIDTH));
    const at = first % TILE_WIDTH;
    let hashes = row.slice(at, at + 2 ** inner);
    while (hashes.length > 1) {
      const pairs = hashes.filter((_, place) => place % 2 === 0);
      hashes = await Promise.all(pairs.map((left, place) => nodeHash(left, hashes[2 * place + 1])));
    }
    return hashes[0];
  }

  #tile(level, index) {
    const name = `${level}/${index}`;
    let tile = this.#tiles.get(name);
    if (!tile) {
      const inRow = Math.floor(this.#size / 2 ** (TILE_HEIGHT * level));
      tile = this.#fetch(level, index, Math.min(TILE_WIDTH, inRow - index * TILE_WIDTH));
      this.#tiles.set(name, tile);
    }
    return tile;
  }

  async #fetch(level, index, width) {
    try {
      return decodeHashes(await this.#source(tilePath(level, index, width)), width);
    } catch (error) {
      if (width === TILE_WIDTH || !(error instanceof UnavailableError)) throw error;
    }
    // A log may drop a partial tile once the full one exists.
    const whole = await this.#source(tilePath(level, index));
    return decodeHashes(whole, TILE_WIDTH).slice(0, width);
  }
}
