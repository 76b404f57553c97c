// The place of somebody who came by an invitation, kept over a reload: as long as the tab, no longer.

const kPrefix = 'bedside-place:';

/** @returns {?{participantId: string, token: string, name: string}} */
export function keptPlace(roomId, secret) {
  try {
    const place = JSON.parse(sessionStorage.getItem(kPrefix + roomId) ?? 'null');
    return place?.secret === secret ? place : null;  // another link is another person
  } catch {
    return null;
  }
}

export function keepPlace(roomId, secret, membership) {
  if (secret) sessionStorage.setItem(kPrefix + roomId, JSON.stringify({ ...membership, secret }));
}

export function forgetPlace(roomId) {
  sessionStorage.removeItem(kPrefix + roomId);
}
