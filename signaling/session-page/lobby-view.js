// The first screen: name, picture of oneself, switches, join.

import { askTwice, byId, setSwitch, setText } from './dom.js';
import { startLevelMeter } from './level-meter.js';
import { lobbyWords } from './words.js';

export class LobbyView {
  #media;
  #metered = null;
  #stopMeter = null;

  /**
   * @param {import('./media.js').LocalMedia} media
   * @param {(name: string) => void} onJoin
   * @param {(name: string) => void} onEmergency  a host joins although nothing can be recorded
   */
  constructor(media, onJoin, onEmergency) {
    this.#media = media;
    byId('preview-mic').addEventListener('click', () => media.setMic(!media.state.audio));
    byId('preview-camera').addEventListener('click', () => media.setCamera(!media.state.video));
    byId('join-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#withName(onJoin);
    });
    askTwice(byId('emergency-join'), 'Open the visit as an emergency', 'Really an emergency?',
      () => this.#withName(onEmergency));
    byId('name').addEventListener('input', () => {
      byId('name').removeAttribute('aria-invalid');
      this.showProblem('');
    });
    media.addEventListener('change', () => this.render());
    this.render();
  }

  #withName(act) {
    const name = byId('name').value.trim().replace(/\s+/g, ' ');
    if (name) {
      act(name);
    } else {
      this.showProblem('Please write your name first.');
      byId('name').setAttribute('aria-invalid', 'true');
      byId('name').focus();
    }
  }

  setName(name) {
    byId('name').value = name;
  }

  showProblem(text) {
    const isNew = Boolean(text) && byId('join-problem').hidden;
    byId('join-problem').hidden = !text;
    setText(byId('join-problem'), text);
    // On a phone it is below the picture, and it may come without a press of the button beside it.
    if (isNew) byId('join').scrollIntoView({ block: 'nearest' });
  }

  offerEmergency(offered) {
    byId('emergency-offer').hidden = !offered;
    if (offered) byId('join').scrollIntoView({ block: 'end' });
  }

  setBusy(busy) {
    // Not `disabled`: that would drop the keyboard's place.
    byId('join').setAttribute('aria-disabled', String(busy));
    setText(byId('join'), busy ? 'Joining…' : 'Join the visit');
  }

  /** The screen is not seen any more. */
  rest() {
    this.#meter(null);
    byId('preview-video').srcObject = null;
  }

  /** Call it when the screen is shown again; otherwise it follows the devices by itself. */
  render() {
    if (byId('lobby').hidden) return;
    const { asking, camera, mic, cameraOn, state } = this.#media;
    const video = byId('preview-video');
    const shown = state.video ? camera : null;
    video.hidden = !shown;
    if ((video.srcObject?.getVideoTracks()[0] ?? null) !== shown) {
      video.srcObject = shown ? new MediaStream([shown]) : null;
    }
    setText(byId('preview-note'), shown ? '' : this.#note(cameraOn));
    const trouble = lobbyWords(this.#media);
    byId('device-problem').hidden = !trouble || asking;
    setText(byId('device-problem'), asking ? '' : trouble);
    setSwitch(byId('preview-mic'), state.audio, state.audio ? 'Mute' : 'Unmute');
    setSwitch(byId('preview-camera'), state.video, state.video ? 'Stop video' : 'Start video');
    byId('level-row').hidden = !state.audio;
    this.#meter(state.audio ? mic : null);
  }

  #note(cameraOn) {
    if (this.#media.asking) {
      return 'Your browser asks whether this page may use your camera and microphone. '
        + 'Please choose “Allow”.';
    }
    return cameraOn ? 'No picture from a camera' : 'Your camera is off';
  }

  #meter(track) {
    if (track === this.#metered) return;
    this.#stopMeter?.();
    this.#metered = track;
    this.#stopMeter = track ? startLevelMeter(track, byId('level')) : null;
  }
}
