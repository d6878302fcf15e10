// The WebSocket: envelopes come and go as they are. A browser does not tell why a handshake failed, so that a refusal
// looks like a proxy in the way; the transports after it hear the status. Nor does it let a page add a header, so that
// the token is offered as a subprotocol.

import type { Link, Task } from "./transport.js";

export function websocket(task: Task): Link {
  const { after, token } = task;
  const url = task.address({ after }).replace(/^http/, "ws");
  const socket = new WebSocket(url, ["tidegate.v1", ...(token ? [`bearer.${token}`] : [])]);
  socket.onmessage = ({ data }) => task.deliver(JSON.parse(data));
  socket.onclose = ({ code, reason }) => task.end({ code, reason });
  return {
    stop: () => socket.close(1000),
    send(message) {
      const open = socket.readyState === 1;
      if (open) socket.send(JSON.stringify(message));
      return open;
    },
  };
}
