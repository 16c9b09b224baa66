// Every NaN is written as the quiet NaN of its type: the bits of a NaN are the one thing that
// WebAssembly leaves open.

// The bits without the sign, of an FP64 the upper half of them: above `infinity` it is a NaN.
const NANS = {
  FP16: { infinity: 0x7c00, quiet: 0x7e00 },
  BF16: { infinity: 0x7f80, quiet: 0x7fc0 },
  FP32: { infinity: 0x7f800000, quiet: 0x7fc00000 },
  FP64: { infinity: 0x7ff00000, quiet: 0x7ff80000 },
};
const WRITERS = { FP16: write16, BF16: write16, FP32: write32, FP64: write64 };

/**
 * Return the tensor's bytes with every NaN written as the quiet NaN of its type: the very array
 * that was given when nothing changes, else a copy.
 *
 * @param {{datatype: string, data: Uint8Array}} tensor
 * @returns {Uint8Array}
 */
export function canonicalNans({ datatype, data }) {
  const write = WRITERS[datatype];
  if (!write) return data;
  const result = new Lazy(data);
  write(result, NANS[datatype]);
  return result.data;
}

/** Bytes that are copied before the first of them is changed. */
class Lazy {
  #given;

  /** @param {Uint8Array} data */
  constructor(data) {
    this.#given = data;
    this.#look(data);
  }

  #look(data) {
    this.data = data;
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  /** @returns {DataView} of a copy */
  change() {
    if (this.data === this.#given) this.#look(this.#given.slice());
    return this.view;
  }
}

function write16(lazy, { infinity, quiet }) {
  for (let at = 0; at < lazy.data.length; at += 2) {
    const bits = lazy.view.getUint16(at, true);
    if ((bits & 0x7fff) > infinity && bits !== quiet) lazy.change().setUint16(at, quiet, true);
  }
}

function write32(lazy, { infinity, quiet }) {
  for (let at = 0; at < lazy.data.length; at += 4) {
    const bits = lazy.view.getUint32(at, true);
    if ((bits & 0x7fffffff) > infinity && bits !== quiet) lazy.change().setUint32(at, quiet, true);
  }
}

function write64(lazy, { infinity, quiet }) {
  for (let at = 0; at < lazy.data.length; at += 8) {
    const upper = lazy.view.getUint32(at + 4, true);
    const bits = upper & 0x7fffffff;
    if (bits < infinity) continue;
    const lower = lazy.view.getUint32(at, true);
    const isNan = bits > infinity || lower !== 0;
    if (isNan && (upper !== quiet || lower !== 0)) {
      lazy.change().setUint32(at, 0, true);
      lazy.view.setUint32(at + 4, quiet, true);
    }
  }
}
