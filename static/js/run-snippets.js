// The request on the page as programs send it: curl, Python with tritonclient, `assay run`.
//
// A version can be withdrawn and an alias moved, so each names the content: the revision's id,
// which means one content for ever, or the manifest's digest, which `assay run` insists on.

import { curlLine, inferAddress } from "./infer.js";

const MOST_INLINE = 4_000; // characters of a request that a program may hold
// What a terminal obeys, or nobody sees: it stands in texts of the JSON alone, where it has an escape.
const UNSEEN = /[\u007f-\u009f\p{Cf}\u2028\u2029]/gu;

/**
 * @param {{origin: string, model: string, revision: string, manifest: string, body: string}} asked
 * @returns {{curl: string, python: string, assay: string, file: boolean}} `file`: the request is
 *   too long for the lines, which read `request.json`
 */
export function snippetsOf({ origin, model, revision, manifest, body: asked }) {
  const body = asked.replaceAll(UNSEEN, escaped);
  const file = body.length > MOST_INLINE;
  return {
    file,
    curl: curlLine(origin + inferAddress(model, revision), body),
    python: python({ origin, model, revision, manifest, body: file ? "" : body }),
    assay: assay({ origin, manifest, body: file ? "" : body }),
  };
}

function escaped(letter) {
  const units = Array.from({ length: letter.length }, (_, at) => letter.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}

function python({ origin, model, revision, manifest, body }) {
  const { host, protocol } = new URL(origin);
  const secure = protocol === "https:" ? ", ssl=True" : "";
  // A JSON string is a string of Python as well.
  const request = body ? `json.loads(${JSON.stringify(body)})` : 'json.load(open("request.json"))';
  return [
    "import json",
    "",
    "import numpy as np",
    "import tritonclient.http as http",
    "from tritonclient.utils import triton_to_np_dtype",
    "",
    `REVISION = "${revision}"  # manifest ${manifest}`,
    `request = ${request}`,
    "inputs = []",
    'for given in request["inputs"]:',
    '    tensor = http.InferInput(given["name"], given["shape"], given["datatype"])',
    '    values = np.array(given["data"], triton_to_np_dtype(given["datatype"]))',
    '    tensor.set_data_from_numpy(values.reshape(given["shape"]))',
    "    inputs.append(tensor)",
    `client = http.InferenceServerClient("${host}"${secure})`,
    `result = client.infer("${model.replace("/", "--")}", inputs, model_version=REVISION)`,
    "answer = result.get_response()",
    'for output in answer["outputs"]:',
    '    print(output["name"], result.as_numpy(output["name"]))',
    'print(answer["parameters"]["receipt_url"])',
  ].join("\n");
}

function assay({ origin, manifest, body }) {
  const line = `assay run ${manifest} --url ${origin} --input`;
  if (!body) return `${line} request.json`;
  let end = "JSON";
  while (body.split("\n").includes(end)) end += "_";
  return `${line} - <<'${end}'\n${body}\n${end}`;
}
