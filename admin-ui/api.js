// The JSON API. One place that knows headers, errors and what an answer says about the session.

// kind: 'offline' (no answer at all), 'expired' (log in again), 'wait' (too many attempts; seconds says how
// long), 'refused' (anything else the server said no to).
export class ApiError extends Error {
  constructor(kind, message, { status = 0, code = '', seconds = 0 } = {}) {
    super(message);
    Object.assign(this, { kind, status, code, seconds });
  }
}

const kPatienceMs = 20_000;

// Told about every answer: how long the session lasts (seconds, null when not logged in).
let onSession = () => {};
export function watchSession(callback) { onSession = callback; }

// Told what every answer to somebody who is logged in says of the server's certificate.
let onCertificate = () => {};
export function watchCertificate(callback) { onCertificate = callback; }

async function request(method, path, { body, automatic = false, file = false, patienceMs = kPatienceMs } = {}) {
  const headers = { 'X-Bedside-Admin': '1' };
  // What the page does by itself must not keep a forgotten session alive.
  if (automatic) headers['X-Bedside-Refresh'] = 'automatic';
  if (method === 'POST') headers['Content-Type'] = 'application/json';
  let response;
  let answer;
  try {
    response = await fetch(`/admin/api/${path}`, {
      method, headers, body: method === 'POST' ? JSON.stringify(body ?? {}) : undefined,
      cache: 'no-store', credentials: 'same-origin', redirect: 'error', signal: AbortSignal.timeout(patienceMs),
    });
    const isFile = file && response.ok;
    answer = isFile ? { success: true, blob: await response.blob() } : await response.json();
  } catch {
    throw new ApiError('offline', 'The server does not answer. Your network or the server may be down.');
  }
  if (answer.session) onSession(answer.session.secondsLeft);
  if (answer.certificate) onCertificate(answer.certificate);
  if (response.ok && answer.success) return answer;
  const details = { status: response.status, code: answer.code ?? '', seconds: Number(response.headers.get('Retry-After')) || 0 };
  if (answer.code === 'login-required') {
    onSession(null);
    throw new ApiError('expired', 'You are logged out.', details);
  }
  const message = answer.error ?? `The server answered ${response.status}.`;
  throw new ApiError(response.status === 429 ? 'wait' : 'refused', message, details);
}

// An answer that is a file, saved under that name.
export async function download(path, name) {
  const { blob } = await request('POST', path, { file: true });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export const get = (path, options) => request('GET', path, options);
export const post = (path, body, options) => request('POST', path, { body, ...options });
