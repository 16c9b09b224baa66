// Runs models in a browser as the portable executor runs them in Node, and hashes what they give.
//
// It is served from the folder of the site's workers, under their policy, and loads the runtime and
// the form of tensors from where pages load them.
//
// In:  the name of a job.  Out: {digest} or {error}

import { encodeTensors } from "/static/js/assay/tensors.js";
import { sha256Hex } from "/static/js/assay/digests.js";
import { fromTensor, toTensor } from "/replay/tensors.mjs";

const folder = "/static/vendor/onnxruntime-web-1.30.0/";
const ort = await import(`${folder}ort.wasm.min.mjs`);
ort.env.logLevel = "fatal";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = folder;

async function run(name) {
  const answer = await fetch(`/jobs/${name}`);
  const whole = new Uint8Array(await answer.arrayBuffer());
  const end = whole.indexOf(0x0a);
  const job = JSON.parse(new TextDecoder().decode(whole.subarray(0, end)));
  let offset = end + 1;
  const take = (size) => whole.slice(offset, (offset += size));
  const session = await ort.InferenceSession.create(take(job.graph), {
    executionProviders: ["wasm"],
    numThreads: 1,
    graphOptimizationLevel: "all",
  });
  const feeds = Object.create(null);
  for (const input of job.inputs) {
    feeds[input.name] = toTensor(ort, input, take(input.size));
  }
  const results = await session.run(feeds);
  const outputs = session.outputNames.map((output) => {
    const [described, data] = fromTensor(output, results[output]);
    return { ...described, data };
  });
  await session.release();
  return sha256Hex(encodeTensors(outputs));
}

self.addEventListener("message", async ({ data }) => {
  try {
    self.postMessage({ digest: await run(data) });
  } catch (error) {
    self.postMessage({ error: String(error?.stack ?? error) });
  }
});
self.postMessage({ ready: true });
