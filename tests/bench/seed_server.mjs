// The yardstick for signaling: a WebSocket server on node and `ws`, of the shape that small telehealth pages
// usually have. Rooms in a Map, one JSON object a frame, nothing stored, nothing checked.
//
//   node --expose-gc seed_server.mjs [CERTIFICATE KEY]     prints its port; SIGUSR2 collects garbage

import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { WebSocketServer } from 'ws';

const [certificate, key] = process.argv.slice(2);
const server = certificate
  ? https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) })
  : http.createServer();
const sockets = new WebSocketServer({ server });
const rooms = new Map();  // room → peer → socket

sockets.on('connection', (socket) => {
  let room = null;
  let self = null;

  const send = (to, message) => { if (to?.readyState === 1) to.send(JSON.stringify(message)); };
  const others = () => [...(rooms.get(room) ?? [])].filter(([peer]) => peer !== self);
  const leave = () => {
    if (room === null) return;
    for (const [, other] of others()) send(other, { type: 'peer-left', peerId: self });
    rooms.get(room)?.delete(self);
    if (rooms.get(room)?.size === 0) rooms.delete(room);
    room = null;
  };

  socket.on('message', (data) => {
    const message = JSON.parse(data);
    switch (message.type) {
      case 'join':
        room = message.roomId;
        self = message.peerId;
        if (!rooms.has(room)) rooms.set(room, new Map());
        rooms.get(room).set(self, socket);
        for (const [, other] of others()) {
          send(other, { type: 'peer-joined', peerId: self, peerName: message.peerName });
        }
        send(socket, { type: 'existing-peers', peers: others().map(([peer]) => peer) });
        break;
      case 'offer':
      case 'answer':
      case 'ice-candidate':
        send(rooms.get(room)?.get(message.targetPeerId), { ...message, fromPeerId: self });
        break;
      case 'leave':
        leave();
        break;
      default:
        break;
    }
  });
  socket.on('close', leave);
});

process.on('SIGUSR2', () => global.gc());
process.on('SIGTERM', () => process.exit(0));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
