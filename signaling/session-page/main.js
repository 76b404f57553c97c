// The session page: which screen is shown, and what leads from one to the next.
//
// Address: /telehealth-webrtc.html?room=<room>[#<secret>], and two switches for support staff:
//   policy=relay | relay-tcp   see ice-policy.js
//   signaling=poll             no WebSocket

import { roomInfo } from './api.js';
import { startDeviceChoice } from './device-choice.js';
import { announce, byId, setText, showScreen } from './dom.js';
import { LobbyView } from './lobby-view.js';
import { HostView } from './host-view.js';
import { LocalMedia } from './media.js';
import { forgetPlace, keepPlace, keptPlace } from './place.js';
import { VisitView } from './visit-view.js';
import { Visit } from './visit.js';
import { deviceProblem, endWords, joinProblem, missingDeviceWords } from './words.js';

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

const lobby = new LobbyView(media, join, (name) => join(name, null, { emergency: true }));
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

async function join(name, place = null, how = {}) {
  if (joining) return;
  joining = true;
  lobby.setBusy(true);
  lobby.showProblem('');
  lobby.offerEmergency(false);
  ownName = name;
  const attempt = new Visit({
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
  try {
    inside = false;
    missing = null;
    await (place ? attempt.resume(place) : attempt.join(how));
    visit = attempt;
    sessionStorage.setItem(kNameKey, name);
    lobby.rest();
    render();
    keepAwake();
  } catch (problem) {
    if (place) {
      if (!problem.passing) forgetPlace(roomId);
      showScreen('lobby');
      lobby.render();
    } else {
      if (!problem.mayDeclareEmergency) lobby.showProblem(joinProblem(problem));
      lobby.offerEmergency(problem.mayDeclareEmergency);
    }
  } finally {
    joining = false;
    lobby.setBusy(false);
  }
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
  const place = keptPlace(roomId, secret);
  lobby.setName(name);
  if (!place) showScreen('lobby');
  startDeviceChoice(media);
  await media.openBoth();
  if (place) await join(place.name ?? name, place);
}

media.addEventListener('change', () => {
  visit?.mediaChanged();
  render();
});
byId('waiting-leave').addEventListener('click', () => leave());
// Another invitation in the same tab is another visit.
window.addEventListener('hashchange', () => location.reload());
byId('end-again').addEventListener('click', () => location.reload());
window.addEventListener('online', () => visit?.refresh());
document.addEventListener('visibilitychange', keepAwake);
window.addEventListener('pagehide', () => visit?.pageGone({ returning: Boolean(secret) }));
// Back from the browser's history with a visit that has been left: start afresh.
window.addEventListener('pageshow', ({ persisted }) => { if (persisted) location.reload(); });

start();
