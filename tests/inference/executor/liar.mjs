// A model process that lies: it speaks the frames, the name of the wanted output is the lie.
import { Socket } from "node:net";
import { readFrames, writeFrame } from "./frames.mjs";

const socket = new Socket({ fd: 0, readable: true, writable: true });
const float = { name: "honest", datatype: "FP32", shape: [1], size: 4 };
const one = new Uint8Array([0, 0, 128, 63]);
let hoard = null;
const LIES = {
  honest: () => [{ outputs: [float] }, [one]],
  // No lie: a process that keeps more and more.
  hoard: () => {
    hoard ??= Buffer.alloc(700 * 2 ** 20, 1);
    return [{ outputs: [{ ...float, name: "hoard" }] }, [one]];
  },
  name: () => [{ outputs: [{ ...float, name: "other" }] }, [one]],
  datatype: () => [{ outputs: [{ ...float, name: "datatype", datatype: "INT32" }] }, [one]],
  shape: () => [{ outputs: [{ ...float, name: "shape", shape: [2] }] }, [one]],
  negative: () => [{ outputs: [{ ...float, name: "negative", shape: [-1] }] }, [one]],
  huge: () => [{ outputs: [{ ...float, name: "huge", shape: [2 ** 40] }] }, [one]],
  size: () => [{ outputs: [{ ...float, name: "size", size: 2 ** 40 }] }, [one]],
  tail: () => [{ outputs: [{ ...float, name: "tail" }] }, [one, one]],
  none: () => [{ outputs: [] }, []],
  more: () => [{ outputs: [{ ...float, name: "more" }, float] }, [one, one]],
  extra: () => [{ outputs: [{ ...float, name: "extra", secret: 1 }] }, [one]],
  form: () => [{ outputs: "all is well" }, []],
  array: () => [[1, 2, 3], []],
};

readFrames(socket, (header) => {
  if (header.op === "load") {
    const outputs = [...Object.keys(LIES), "garbage", "long", "silence", "exit"];
    const values = outputs.map((name) => ({ name, datatype: "FP32", shape: [1] }));
    writeFrame(socket, { ok: true, inputs: [], outputs: values });
    return;
  }
  if (header.op === "drop") {
    writeFrame(socket, { ok: true });
    return;
  }
  const [lie] = header.outputs;
  if (lie === "garbage") {
    socket.write(Buffer.from("0000000cffffffff", "hex"));
  } else if (lie === "long") {
    socket.write(Buffer.from("ffffffff000000027b7d", "hex"));
  } else if (lie === "exit") {
    process.exit(0);
  } else if (lie !== "silence") {
    const [answer, parts] = LIES[lie]();
    writeFrame(socket, answer, parts);
  }
});
socket.on("end", () => process.exit(0));
writeFrame(socket, { ready: true });
