// The portable runtime by itself: one model, one input, run after run in one thread.
//
//   node inference_raw.mjs RUNTIME_FOLDER MODEL INPUT_NAME SHAPE SECONDS
//
// Prints the median time of a run in milliseconds, and how many there were. The input is a ramp.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folderPath, model, name, shapeText, seconds] = process.argv.slice(2);
const folder = pathToFileURL(`${folderPath}/`).href;
const ort = await import(new URL("ort.wasm.min.mjs", folder).href);
ort.env.logLevel = "fatal";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = folder;
ort.env.wasm.wasmBinary = readFileSync(new URL("ort-wasm-simd-threaded.wasm", folder));
const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(model)), {
  executionProviders: ["wasm"],
  numThreads: 1,
  graphOptimizationLevel: "all",
});
const shape = shapeText.split(",").map(Number);
const size = shape.reduce((product, dimension) => product * dimension, 1);
const data = Float32Array.from({ length: size }, (_, index) => (index % 17) / 16);
const took = [];
const until = performance.now() + Number(seconds) * 1000;
for (let warm = 0; warm < 3; warm += 1) {
  await session.run({ [name]: new ort.Tensor("float32", data, shape) });
}
while (took.length < 5 || performance.now() < until) {
  const begun = performance.now();
  await session.run({ [name]: new ort.Tensor("float32", data, shape) });
  took.push(performance.now() - begun);
}
took.sort((a, b) => a - b);
console.log(JSON.stringify({ ms: took[took.length >> 1], runs: took.length }));
process.exit(0);
