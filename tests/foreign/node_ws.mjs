// A client by `ws`. Usage: URL. Tells what it sees as JSON lines on stdout.

import WebSocket from "ws";

const tell = (event, fields) => console.log(JSON.stringify({ event, ...fields }));
const names = ["first", "answer", "change"];

const socket = new WebSocket(process.argv[2]);
socket.on("message", (data, binary) => {
  const name = names.shift();
  tell(name, { data: data.toString(), binary });
  if (name === "first") socket.send("hello");
  if (name === "change") socket.close(1000);
});
socket.on("close", (code) => tell("closed", { code }));
socket.on("error", (error) => {
  throw error;
});
