// Between the Open Inference Protocol's tensor bytes and onnxruntime-web's tensors, both ways.
//
// The executor's host imports this file too: what runs and what replays agree on every datatype.

export const DATATYPES = {
  BOOL: ["bool", Uint8Array],
  INT8: ["int8", Int8Array],
  INT16: ["int16", Int16Array],
  INT32: ["int32", Int32Array],
  INT64: ["int64", BigInt64Array],
  UINT8: ["uint8", Uint8Array],
  UINT16: ["uint16", Uint16Array],
  UINT32: ["uint32", Uint32Array],
  UINT64: ["uint64", BigUint64Array],
  FP16: ["float16", Uint16Array],
  FP32: ["float32", Float32Array],
  FP64: ["float64", Float64Array],
  BYTES: ["string", null],
};
export const NAMES = Object.fromEntries(
  Object.entries(DATATYPES).map(([name, [type]]) => [type, name]),
);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** The run went well; its outputs cannot be told, or its inputs not given. */
export class AnswerError extends Error {}

function decodeStrings(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const strings = [];
  for (let offset = 0; offset < bytes.length; ) {
    const end = offset + 4 + view.getUint32(offset, true);
    strings.push(decoder.decode(bytes.subarray(offset + 4, end)));
    offset = end;
  }
  return strings;
}

function encodeStrings(strings, limit) {
  const parts = [];
  let total = 0;
  for (const text of strings) {
    const bytes = encoder.encode(text);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length, true);
    parts.push(length, bytes);
    total += 4 + bytes.length;
    if (total > limit) {
      throw new AnswerError(`the answer is larger than ${limit} bytes`);
    }
  }
  const whole = new Uint8Array(total);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Return the tensor of `ort` that `bytes` (a Uint8Array) spell in `datatype` and `shape`. */
export function toTensor(ort, { datatype, shape }, bytes) {
  const [type, Values] = DATATYPES[datatype] ?? [];
  if (type === undefined) {
    throw new AnswerError(`this runtime has no tensors of ${datatype}`);
  }
  if (Values === null) {
    return new ort.Tensor(type, decodeStrings(bytes), shape);
  }
  // A copy where the offset is not a multiple of the element's size, as typed arrays demand.
  const here = bytes.byteOffset % Values.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  const count = here.byteLength / Values.BYTES_PER_ELEMENT;
  return new ort.Tensor(type, new Values(here.buffer, here.byteOffset, count), shape);
}

/** Return the header and the bytes of an output; `limit` bounds the bytes of its strings. */
export function fromTensor(name, tensor, limit = Number.POSITIVE_INFINITY) {
  const datatype = NAMES[tensor?.type];
  if (datatype === undefined) {
    throw new AnswerError(`the output ${name} is no tensor that can be answered`);
  }
  const { data } = tensor;
  const bytes =
    datatype === "BYTES"
      ? encodeStrings(data, limit)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return [{ name, datatype, shape: [...tensor.dims], size: bytes.byteLength }, bytes];
}
