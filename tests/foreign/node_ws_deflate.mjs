// A client by `ws` that compresses: says each message back until it is `end`. Usage: URL. Tells what it sees as JSON
// lines on stdout.

import WebSocket from "ws";

const tell = (event, fields) => console.log(JSON.stringify({ event, ...fields }));

const socket = new WebSocket(process.argv[2], { perMessageDeflate: { threshold: 0 } });
socket.on("upgrade", ({ headers }) => tell("open", { extensions: headers["sec-websocket-extensions"] ?? "" }));
socket.on("message", (data) => {
  if (data.toString() === "end") socket.close(1000);
  else socket.send(data.toString());
});
socket.on("close", (code) => tell("closed", { code }));
socket.on("error", (error) => {
  throw error;
});
