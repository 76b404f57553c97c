// Every sentence that depends on what happened. Plain words that say what to do.

export function personCount(count) {
  return count === 1 ? '1 person' : `${count} people`;
}

/** @param {import('./peer.js').PeerState} state  @param {?{relayed: boolean}} route */
export function connectionWords(state, route) {
  switch (state) {
    case 'connected':
      if (!route) return 'Connected';
      return route.relayed ? 'Connected through the relay' : 'Connected directly';
    case 'interrupted': return 'Connection is weak, please wait';
    case 'reconnecting': return 'Reconnecting…';
    default: return 'Connecting…';
  }
}

/** @param {string} name of the DOMException, or 'insecure' */
export function deviceProblem(kind, name) {
  const device = kind === 'camera' ? 'camera' : 'microphone';
  switch (name) {
    case 'NotAllowedError':
      return `This page may not use your ${device}. Allow it with the camera or lock symbol beside the `
        + 'address at the top, then press the button again.';
    case 'NotReadableError':
    case 'AbortError':
      return `Another program is using your ${device}. Close it, then press the button again.`;
    case 'OverconstrainedError':
    case 'NotFoundError':
      return `We found no ${device} on this device.`;
    case 'insecure':
      return `The ${device} works only on a secure page. Please open the link that begins with https.`;
    default:
      return `The ${device} could not be started. Unplug it and plug it in again, or restart the browser.`;
  }
}

/**
 * What the lobby says about our devices.
 * @param {import('./media.js').LocalMedia} media
 * @returns {string} '' when there is nothing to say
 */
export function lobbyWords(media) {
  const { camera, mic } = media.problem;
  if (camera && camera === mic) {
    const both = {
      NotAllowedError: 'This page may not use your camera and microphone. Allow them with the camera or '
        + 'lock symbol beside the address at the top, then press the buttons below.',
      NotFoundError: 'We found no camera and no microphone on this device.',
      insecure: 'Camera and microphone work only on a secure page. Please open the link that begins '
        + 'with https.',
    }[camera];
    return `${both ?? 'Camera and microphone could not be started. Another program may be using them.'} `
      + 'You can still join, to see and hear the others.';
  }
  if (camera) return `${deviceProblem('camera', camera)} You can still join with your voice.`;
  if (mic) return `${deviceProblem('mic', mic)} The others will see you but not hear you.`;
  return '';
}

/**
 * What somebody who is in is told about devices that the visit goes on without.
 * @param {import('./media.js').LocalMedia} media
 * @returns {string} '' when nothing that was wanted is missing
 */
export function missingDeviceWords({ camera, cameraOn, mic, micOn }) {
  const noCamera = cameraOn && !camera;
  const noMic = micOn && !mic;
  if (noCamera && noMic) return 'You are in without camera and microphone: you see and hear the others.';
  if (noCamera) return 'You are in without a camera: the others do not see you.';
  if (noMic) return 'You are in without a microphone: the others do not hear you.';
  return '';
}

/**
 * What is in the middle of the screen of somebody who is alone in the visit.
 * @param {number} waiting people who wait for this host to let them in
 * @returns {[string, string]} a title and what to do
 */
export function aloneWords(waiting) {
  if (waiting > 0) {
    return ['You are the only one in the visit', 'Let in who is waiting, when you are ready.'];
  }
  return ['Nobody else is here yet',
    'Please stay on this page. The others appear here by themselves as soon as they join.'];
}

/** What a host who declines tells the guest, unless they write something else. */
export const kDeclineReason = 'The clinician is not ready yet. Please come back in a few minutes.';

/** What a host is told about the record of what they do; '' when all is well. */
export function emergencyWords(recording) {
  switch (recording) {
    case 'refused':
      return 'The server cannot record that at the moment, so it was not done. Please try again in a '
        + 'moment. If this visit cannot wait, go on as an emergency: that is recorded as one.';
    case 'emergency':
      return 'This visit goes on as an emergency, and is recorded as one.';
    case 'impossible':
      return 'The server cannot record anything at the moment, and has no journal for emergencies. Please '
        + 'tell whoever looks after it.';
    default: return '';
  }
}

/** @param {{status?: number, code?: string, message?: string}} problem of joining */
export function joinProblem({ status, message }) {
  switch (status) {
    case 0: return 'We cannot reach the server. Check your internet connection, then press Join again.';
    case 403: return 'This link is not valid. Please open the newest link your practice sent you.';
    case 404: return 'We did not find this visit. Please check that you opened the whole link from your '
      + 'invitation, or call your practice.';
    case 409: return `${message}. Please call your practice.`;
    case 423: return 'This visit is locked: nobody new can come in at the moment. Please call your practice.';
    case 410: return 'This visit has ended. If you expected to be in it, please call your practice.';
    case 429: return 'Too many attempts. Please wait a minute, then press Join again.';
    default:
      return status >= 500
        ? 'The server is busy at the moment. Please wait a moment, then press Join again.'
        : 'Joining did not work. Please reload this page and try again.';
  }
}

/** @param {import('./api.js').ApiError} problem of coming back to the place that was kept over a reload */
export function returnProblem(problem) {
  if (!problem.passing) {
    return problem.status === 403
      ? 'Your place in this visit is not kept any more. Please press Join to come in again.'
      : joinProblem(problem);
  }
  const why = problem.status === 0 ? 'We cannot reach the server. Check your internet connection.'
    : 'The server is busy at the moment.';
  return `${why} You keep your place in the visit, and we try again by ourselves. Press Join to try at once.`;
}

/**
 * The last screen. `again` says whether joining once more makes sense.
 * @param {{code?: string, status?: number, reason?: string}} why
 */
export function endWords({ code, status, reason }) {
  switch (code ?? status) {
    case 'left':
      return { title: 'You have left the visit', text: 'Your camera and microphone are off. You can close '
        + 'this page, or join again.', again: true };
    case 'room-ended':
    case 410:
      return { title: 'The visit has ended', text: 'Thank you. Your camera and microphone are off, and you '
        + 'can close this page.', again: false };
    case 'declined':
      return { title: 'Not yet, please', text: reason || 'The clinician cannot let you in at the moment. '
        + 'Please try again in a few minutes, or call your practice.', again: true };
    case 'removed':
      return { title: 'You are no longer in the visit', text: 'The practice has closed your connection. '
        + 'If you think this is a mistake, please call your practice.', again: false };
    case 'room-full':
    case 409:
      return { title: 'The visit is full', text: 'Somebody took your place while you were away. Please call '
        + 'your practice, or try again in a moment.', again: true };
    case 'no-room':
      return { title: 'This link is not complete', text: 'The name of the visit is missing from the '
        + 'address. Please open the link from your invitation once more.', again: false };
    case 'room-not-found':
    case 404:
      return { title: 'We did not find this visit', text: 'Please check that you opened the whole link '
        + 'from your invitation. If it still does not work, please call your practice.', again: false };
    default:
      return { title: 'You are no longer connected', text: 'The server has closed your connection. '
        + 'Please join again.', again: true };
  }
}
