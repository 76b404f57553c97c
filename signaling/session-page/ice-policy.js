// How we connect: the server's ICE servers, bent by the support switch `?policy=` of the page's address.
//   relay      everything through the relay, even where a direct way exists
//   relay-tcp  the same, and only by TURN over TCP (or TLS): what a firewall without UDP leaves

const isStreamRelay = (url) => url.startsWith('turns:') || /^turn:.*[?&]transport=tcp/.test(url);

/**
 * @param {RTCIceServer[]} iceServers as the server sent them
 * @param {?string} policy
 * @returns {RTCConfiguration}
 */
export function iceConfiguration(iceServers, policy) {
  const configuration = { iceServers: iceServers ?? [] };
  if (policy !== 'relay' && policy !== 'relay-tcp') return configuration;
  configuration.iceTransportPolicy = 'relay';
  if (policy === 'relay-tcp') {
    configuration.iceServers = configuration.iceServers
      .map((server) => ({ ...server, urls: [server.urls].flat().filter(isStreamRelay) }))
      .filter((server) => server.urls.length > 0);
  }
  return configuration;
}
