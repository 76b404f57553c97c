// One WebSocket, from its attempt to its end. Knows frames, not what they mean.

const kOpenDeadline = 6_000;  // ms; a firewall that swallows the upgrade must not hold up the visit

/**
 * @param {object} first        the message that attaches us, sent as soon as the socket is open
 * @param {object} on
 * @param {() => void} on.open
 * @param {(message: object) => void} on.message
 * @param {(end: {code: number, wasOpen: boolean}) => void} on.close  exactly once
 * @returns {{send(message: object): void, close(): void}}
 */
export function openSocketLink(first, on) {
  let wasOpen = false;
  let over = false;
  let socket = null;

  const finish = (code) => {
    if (over) return;
    over = true;
    clearTimeout(deadline);
    socket?.close();
    on.close({ code, wasOpen });
  };
  const deadline = setTimeout(() => finish(1006), kOpenDeadline);

  try {
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    socket = new WebSocket(`${scheme}//${location.host}/api/webrtc-ws`);
  } catch {
    // Some managed browsers take the constructor away. Never call back before we have returned.
    queueMicrotask(() => finish(1006));
    return { send() {}, close() {} };
  }
  socket.onopen = () => {
    if (over) return;
    clearTimeout(deadline);
    wasOpen = true;
    socket.send(JSON.stringify(first));
    on.open();
  };
  socket.onmessage = ({ data }) => {
    if (over) return;
    try {
      on.message(JSON.parse(data));
    } catch (error) {
      console.warn('A message of the server was not understood', error);
    }
  };
  socket.onclose = ({ code }) => finish(code);

  return {
    send: (message) => socket.send(JSON.stringify(message)),
    close: () => finish(1000),
  };
}
