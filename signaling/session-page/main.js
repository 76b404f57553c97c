// The session page: which screen is shown, and what leads from one to the next.
//
// Address: /telehealth-webrtc.html?room=<room>[#<secret>], and two switches for support staff:
//   policy=relay | relay-tcp   see ice-policy.js
//   signaling=poll             no WebSocket

import { roomInfo } from './api.js';
import { Backoff } from './backoff.js';
import { startDeviceChoice } from './device-choice.js';
import { announce, byId, setText, showScreen } from './dom.js';
import { LobbyView } from './lobby-view.js';
import { HostView } from './host-view.js';
import { LocalMedia } from './media.js';
import { forgetPlace, keepPlace, keptPlace } from './place.js';
import { VisitView } from './visit-view.js';
import { Visit } from './visit.js';
import { deviceProblem, endWords, joinProblem, missingDeviceWords, returnProblem } from './words.js';

const kNameKey = 'bedside-name';

const query = new URLSearchParams(location.search);
const roomId = query.get('room') ?? '';
// The invitation's secret; empty in open rooms.
const secret = location.hash.slice(1);
const media = new LocalMedia();
/** @type {?Visit} */
let visit = null;
let joining = false;
let inside = false;
let ownName = '';
/** What was said about missing devices; null: nothing is known of them yet. */
let missing = null;
let wakeLock = null;
/** Between attempts to come back to the kept place. */
const pauses = new Backoff(1_000, 10_000);
let comingBack = 0;

const lobby = new LobbyView(media, join, (name) => join(name, { emergency: true }));
const view = new VisitView(media, {
  mic: () => switchDevice('mic', () => media.setMic(!media.state.audio)),
  camera: () => switchDevice('camera', () => media.setCamera(!(media.camera && media.cameraOn))),
  screen: switchScreen,
  leave: () => leave(),
});

async function switchDevice(kind, act) {
  await act();
  const wanted = kind === 'mic' ? media.micOn : media.cameraOn;
  if (wanted && !media[kind]) view.say(deviceProblem(kind, media.problem[kind]));
  else announce(`${kind === 'mic' ? 'Microphone' : 'Camera'} is ${wanted ? 'on' : 'off'}`);
}

async function switchScreen() {
  if (media.screen) {
    media.stopScreen();
  } else if (await media.shareScreen()) {
    view.say('The screen could not be shared. Your system may have to allow screen recording for this '
      + 'browser.');
  }
}

const hosts = new HostView();

/** Everything visible follows the visit's state. */
function render() {
  if (!visit) return;
  if (visit.waiting) {
    if (document.body.dataset.screen !== 'waiting') {
      showScreen('waiting');
      announce('You are in the waiting room. The clinician will let you in.');
    }
    setText(byId('waiting-status'), visit.transport || !visit.transportSeen ? ''
      : 'The line to our server is interrupted. We are reconnecting by ourselves.');
  } else if (!inside) {
    inside = true;
    const waited = document.body.dataset.screen === 'waiting';
    showScreen('visit');
    view.open(visit, ownName);
    if (waited) announce('You have been let in.');
  }
  noteDevices();
  view.render();
  hosts.render(visit);
}

/** Said once, when the browser's question is answered; taken back when a device comes after all. */
function noteDevices() {
  if (!inside || media.asking) return;
  const words = missingDeviceWords(media);
  if (missing === null) {
    missing = words;
    if (words) view.say(words);
  } else if (words !== missing) {
    view.unsay(missing);
    missing = '';
  }
}

function newVisit(name) {
  return new Visit({
    roomId,
    secret,
    name,
    media,
    policy: query.get('policy'),
    allowSocket: query.get('signaling') !== 'poll',
  }, {
    changed: () => render(),
    joined: (membership) => keepPlace(roomId, secret, membership),
    happened: (kind, who) => announce({
      knock: `${who} is waiting to be let in`,
      locked: 'The visit is locked: nobody new can come in',
      emergency: 'The visit goes on as an emergency',
      unlocked: 'The visit is not locked any more',
      joined: `${who} has joined`,
      left: `${who} has left`,
      connected: `You are connected with ${who}`,
      trouble: `The connection with ${who} is interrupted. It comes back by itself if possible.`,
    }[kind]),
    over: (why) => finish(why),
  });
}

/**
 * Into the visit or its waiting room.
 * @param {object} [how]
 * @param {boolean} [how.emergency]  a host declares an emergency with it
 * @param {boolean} [how.byItself]   nobody pressed Join: back to the kept place, or not at all
 */
async function join(name, how = {}) {
  if (joining) return;
  joining = true;
  clearTimeout(comingBack);
  lobby.setBusy(true);
  // What the lobby says about a place stays while it is true: an alert that comes again is read out again.
  if (!how.byItself) lobby.showProblem('');
  lobby.offerEmergency(false);
  ownName = name;
  const attempt = newVisit(name);
  try {
    inside = false;
    missing = null;
    await enter(attempt, name, how);
    visit = attempt;
    pauses.reset();
    sessionStorage.setItem(kNameKey, name);
    lobby.showProblem('');
    lobby.rest();
    render();
    keepAwake();
  } catch (problem) {
    stayInLobby(problem, how);
  } finally {
    joining = false;
    lobby.setBusy(false);
  }
}

/** Whoever has a place goes back to it and need not knock again; a new one is for those whose place is gone. */
async function enter(attempt, name, { emergency = false, byItself = false }) {
  const place = keptPlace(roomId, secret);
  if (!place || emergency) return attempt.join({ emergency });
  try {
    return await attempt.resume({ ...place, name });
  } catch (problem) {
    if (!problem.passing) forgetPlace(roomId);
    // Hosts need nobody's admission, and only joining tells them whether they may declare an emergency.
    const isReplaceable = !problem.passing || (problem.status === 503 && place.role === 'host');
    if (byItself || !isReplaceable) throw problem;
    return attempt.join();
  }
}

function stayInLobby(problem, { byItself = false }) {
  if (document.body.dataset.screen !== 'lobby') showScreen('lobby');
  lobby.render();
  if (problem.mayDeclareEmergency) {
    lobby.offerEmergency(true);
    return;
  }
  const mayComeBack = problem.passing && keptPlace(roomId, secret) !== null;
  lobby.showProblem(mayComeBack || byItself ? returnProblem(problem) : joinProblem(problem));
  if (mayComeBack) comingBack = setTimeout(comeBack, pauses.next());
}

/** To the kept place, if there is one. */
async function comeBack() {
  const place = keptPlace(roomId, secret);
  if (place && !visit) await join(place.name, { byItself: true });
}

function leave() {
  visit?.leave();
  finish({ code: 'left' });
}

function finish(why) {
  visit = null;
  inside = false;
  forgetPlace(roomId);
  hosts.render(null);
  media.close();
  view.close();
  wakeLock?.release().catch(() => {});
  wakeLock = null;
  const { title, text, again } = endWords(why);
  setText(byId('end-title'), title);
  setText(byId('end-text'), text);
  byId('end-again').hidden = !again;
  showScreen('end');
}

/** A phone that dims its screen in the middle of a visit takes the camera away. */
async function keepAwake() {
  try {
    if (visit && document.visibilityState === 'visible') {
      wakeLock = await navigator.wakeLock?.request('screen');
    }
  } catch {
    // Low battery: the visit works without.
  }
}

async function start() {
  byId('starting').remove();
  if (!roomId) {
    finish({ code: 'no-room' });
    return;
  }
  // Better now than after typing a name. Servers that need a login for this question answer 401.
  const info = await roomInfo(roomId).catch((problem) => problem);
  if (info.status === 404) return finish({ code: 'room-not-found' });
  if (info.room?.active === false) return finish({ code: 'room-ended' });
  const name = sessionStorage.getItem(kNameKey) ?? '';
  lobby.setName(name);
  if (!keptPlace(roomId, secret)) showScreen('lobby');
  startDeviceChoice(media);
  await media.openBoth();
  await comeBack();
}

media.addEventListener('change', () => {
  visit?.mediaChanged();
  render();
});
byId('waiting-leave').addEventListener('click', () => leave());
// Another invitation in the same tab is another visit.
window.addEventListener('hashchange', () => location.reload());
byId('end-again').addEventListener('click', () => location.reload());
window.addEventListener('online', () => (visit ? visit.refresh() : comeBack()));
document.addEventListener('visibilitychange', keepAwake);
window.addEventListener('pagehide', () => visit?.pageGone({ returning: Boolean(secret) }));
// Back from the browser's history with a visit that has been left: start afresh.
window.addEventListener('pageshow', ({ persisted }) => { if (persisted) location.reload(); });

start();
