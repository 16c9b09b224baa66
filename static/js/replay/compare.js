// Where two sets of tensors differ, in words for people; the verdict needs only the digests.

import { DATATYPES, elementCount } from "../assay/tensors.js";

const READERS = {
  BOOL: (view, at) => view.getUint8(at) === 1,
  INT8: (view, at) => view.getInt8(at),
  INT16: (view, at) => view.getInt16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  INT64: (view, at) => view.getBigInt64(at, true),
  UINT8: (view, at) => view.getUint8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  UINT64: (view, at) => view.getBigUint64(at, true),
  FP32: (view, at) => view.getFloat32(at, true),
  FP64: (view, at) => view.getFloat64(at, true),
};

/**
 * Return what differs between two sets, in the order of the claimed one.
 *
 * @param {import("../assay/tensors.js").Tensor[]} claimed
 * @param {import("../assay/tensors.js").Tensor[]} replayed
 * @returns {{name: string, detail: string}[]}
 */
export function differences(claimed, replayed) {
  const found = new Map(replayed.map((tensor) => [tensor.name, tensor]));
  const told = [];
  for (const tensor of claimed) {
    const other = found.get(tensor.name);
    found.delete(tensor.name);
    const detail = other ? difference(tensor, other) : "the replay has no such output";
    if (detail) told.push({ name: tensor.name, detail });
  }
  for (const name of found.keys()) told.push({ name, detail: "the receipt has no such output" });
  return told;
}

function difference(claimed, replayed) {
  const [left, right] = [claimed, replayed].map(
    ({ datatype, shape }) => `${datatype} [${shape.join(", ")}]`,
  );
  if (left !== right) return `claimed ${left}, replayed ${right}`;
  const size = DATATYPES[claimed.datatype];
  const places = differing(claimed, replayed, size ?? 1);
  if (places.count === 0) return "";
  if (size === null) return "other strings";
  const [was, is] = [claimed, replayed].map((tensor) => valueOf(tensor, places.first, size));
  const count = `${places.count} of ${elementCount(claimed.shape)} elements differ`;
  return `${count}, the first at ${places.first}: claimed ${was}, replayed ${is}`;
}

function differing(claimed, replayed, size) {
  let [first, count] = [-1, claimed.data.length === replayed.data.length ? 0 : 1];
  const length = Math.min(claimed.data.length, replayed.data.length);
  for (let at = 0; at < length; at += size) {
    let same = true;
    for (let byte = at; byte < at + size; byte += 1) {
      same &&= claimed.data[byte] === replayed.data[byte];
    }
    if (same) continue;
    if (first < 0) first = at / size;
    count += 1;
  }
  return { first, count };
}

function valueOf({ datatype, data }, index, size) {
  const bytes = data.slice(index * size, (index + 1) * size);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .reverse()
    .join("");
  const read = READERS[datatype];
  return read ? `${read(new DataView(bytes.buffer), 0)} (${hex})` : hex;
}
