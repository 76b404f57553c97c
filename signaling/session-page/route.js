// Which way a connection really goes, from getStats().

/**
 * @param {RTCPeerConnection} connection
 * @returns {Promise<?{relayed: boolean, protocol: string}>} null while no pair is chosen
 */
export async function routeOf(connection) {
  const stats = await connection.getStats();
  let pair = null;
  for (const entry of stats.values()) {
    if (entry.type === 'transport' && entry.selectedCandidatePairId) {
      pair = stats.get(entry.selectedCandidatePairId);
    }
    // Firefox marks the pair instead of naming it.
    if (entry.type === 'candidate-pair' && entry.selected) pair = entry;
  }
  const local = pair && stats.get(pair.localCandidateId);
  const remote = pair && stats.get(pair.remoteCandidateId);
  if (!local || !remote) return null;
  const relayed = local.candidateType === 'relay' || remote.candidateType === 'relay';
  return { relayed, protocol: local.relayProtocol ?? local.protocol };
}
