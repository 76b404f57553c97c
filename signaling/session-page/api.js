// The HTTP half of the protocol: one path, JSON in, JSON out. Secrets travel in bodies, never in URLs.

const kPath = '/api/webrtc-signaling';

/** An answer other than success. `status` is the HTTP status, or 0 when the server was not reached. */
export class ApiError extends Error {
  constructor(status, message, answer = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    /** The server cannot record anything, but a host may go on in an emergency. */
    this.mayDeclareEmergency = answer.mayDeclareEmergency === true;
  }

  /** The same request may succeed later: no network, server restarting, database busy. */
  get passing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

async function request(url, options, { signal, timeout = 15_000 } = {}) {
  const stop = new AbortController();
  const abort = () => stop.abort();
  const deadline = setTimeout(abort, timeout);
  signal?.addEventListener('abort', abort);
  if (signal?.aborted) abort();
  try {
    const response = await fetch(url, { ...options, signal: stop.signal, cache: 'no-store' });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok || answer.success !== true) {
      throw new ApiError(response.status, answer.error ?? `Status ${response.status}`, answer);
    }
    return answer;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(0, 'The server could not be reached');
  } finally {
    clearTimeout(deadline);
    signal?.removeEventListener('abort', abort);
  }
}

/**
 * POSTs one action.
 * @param {string} action e.g. 'join-room'
 * @param {object} fields the other members of the body
 * @param {{signal?: AbortSignal, timeout?: number}} [options] timeout in milliseconds
 */
export function call(action, fields, options) {
  const body = JSON.stringify({ action, ...fields });
  const headers = { 'Content-Type': 'application/json' };
  return request(kPath, { method: 'POST', headers, body }, options);
}

/** Does the room exist and is it open? Servers that need a login for this answer 401. */
export function roomInfo(roomId) {
  return request(`${kPath}?roomId=${encodeURIComponent(roomId)}`, { method: 'GET' });
}

/** Tells the server something while the page is going away: nobody is left to read an answer. */
export function tellWhileLeaving(action, fields) {
  const body = new Blob([JSON.stringify({ action, ...fields })], { type: 'application/json' });
  navigator.sendBeacon(kPath, body);
}
