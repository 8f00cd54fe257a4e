// Node's `ws` as its documentation broadcasts: a loop over `server.clients`. Says its port, sends each line of
// its input, ends with it or after the given seconds.
const http = require("node:http");
const { WebSocket, WebSocketServer } = require("ws");

const listener = http.createServer();
const server = new WebSocketServer({ server: listener, perMessageDeflate: false });
server.on("connection", (socket) => socket.on("error", () => {}));
listener.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => {
  console.log(JSON.stringify({ port: listener.address().port }));
});

setTimeout(() => process.exit(0), 1000 * Number(process.argv[2]));

let rest = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (some) => {
  const lines = (rest + some).split("\n");
  rest = lines.pop();
  for (const line of lines) {
    for (const socket of server.clients) {
      if (socket.readyState === WebSocket.OPEN) socket.send(line);
    }
  }
});
process.stdin.on("end", () => process.exit(0));
