// The browsers' EventSource as `undici` has it. Usage: URL. Tells what it sees as JSON lines on stdout.

import { EventSource } from "undici";

const tell = (event, fields) => console.log(JSON.stringify({ event, ...fields }));
const names = ["first", "change"];

const source = new EventSource(process.argv[2]);
source.addEventListener("tidegate-open", ({ data, lastEventId }) => tell("open", { data, lastEventId }));
source.onmessage = ({ data, lastEventId }) => {
  const name = names.shift();
  tell(name, { data, lastEventId });
  if (name === "change") {
    source.close();
    tell("closed", { state: source.readyState });
  }
};
source.onerror = () => {
  throw new Error("the stream broke");
};
