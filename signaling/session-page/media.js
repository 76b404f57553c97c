// Our own camera, microphone and screen. A visit works without any of them: every track may be null.

const kAudio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const kVideo = {
  width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 }, facingMode: 'user',
};

/** Fires 'change' whenever a track, a switch or the list of devices changed. */
export class LocalMedia extends EventTarget {
  /** @type {?MediaStreamTrack} */ #mic = null;
  /** @type {?MediaStreamTrack} */ #camera = null;
  /** @type {?MediaStreamTrack} */ #screen = null;
  #opening = new Map();
  #closed = false;

  /** One id for the remote side to group our tracks by; never played itself. */
  stream = new MediaStream();
  /** The person's wishes; they hold for the device that comes next, too. */
  micOn = true;
  cameraOn = true;
  /** Why there is no camera or microphone: a DOMException name, or 'insecure', or null. */
  problem = { camera: null, mic: null };
  /** The browser's first question is not answered yet: which devices there are is not known. */
  asking = true;

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.#changed());
  }

  get mic() { return this.#mic; }
  get camera() { return this.#camera; }
  get screen() { return this.#screen; }
  get canShareScreen() { return Boolean(navigator.mediaDevices?.getDisplayMedia); }

  /** What the others should receive now. */
  get outgoing() {
    const video = this.#screen ?? (this.cameraOn ? this.#camera : null);
    return { audio: this.#mic, video };
  }

  /** What is told to the others: protocol message `media-state`. */
  get state() {
    return {
      audio: Boolean(this.#mic && this.micOn),
      video: Boolean(this.#screen || (this.#camera && this.cameraOn)),
      screen: Boolean(this.#screen),
      recording: false,
    };
  }

  /** Asks for both devices in one prompt; whatever fails is asked for alone. Never rejects. */
  async openBoth() {
    if (!navigator.mediaDevices?.getUserMedia) {
      this.problem = { camera: 'insecure', mic: 'insecure' };
      this.asking = false;
      this.#changed();
      return;
    }
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: kAudio, video: kVideo });
      this.#take('mic', stream.getAudioTracks()[0]);
      this.#take('camera', stream.getVideoTracks()[0]);
    } catch (error) {
      // A denied prompt covers both; asking twice more would only annoy.
      if (error.name === 'NotAllowedError') {
        this.problem = { camera: error.name, mic: error.name };
      } else {
        await this.open('mic');
        await this.open('camera');
      }
    }
    this.asking = false;
    this.#changed();
  }

  /**
   * Opens one device, instead of the one in use if there is one. Never rejects.
   * @param {'camera'|'mic'} kind  @param {string} [deviceId]
   */
  async open(kind, deviceId) {
    // Two quick choices in a row: only the last one counts.
    const ticket = Symbol(kind);
    this.#opening.set(kind, ticket);
    const wishes = { ...(kind === 'mic' ? kAudio : kVideo) };
    if (deviceId) {
      wishes.deviceId = { exact: deviceId };
      delete wishes.facingMode;
      // Phones cannot open a second camera while the first one is in use.
      if (kind === 'camera') this.#drop('camera');
    }
    try {
      const stream = await navigator.mediaDevices.getUserMedia(
        kind === 'mic' ? { audio: wishes } : { video: wishes });
      const [track] = stream.getTracks();
      if (this.#opening.get(kind) === ticket) this.#take(kind, track);
      else track.stop();
    } catch (error) {
      this.problem[kind] = navigator.mediaDevices ? error.name : 'insecure';
    }
    this.#changed();
  }

  async setMic(on) {
    this.micOn = on;
    if (on && !this.#mic) await this.open('mic');
    if (this.#mic) this.#mic.enabled = on;
    this.#changed();
  }

  /** Off really stops the camera, so that its light goes out. */
  async setCamera(on) {
    this.cameraOn = on;
    if (on && !this.#camera) await this.open('camera', this.#lastCamera);
    if (!on) this.#drop('camera');
    this.#changed();
  }

  /** @returns {Promise<?string>} the problem's name, or null when sharing (or when nothing was chosen) */
  async shareScreen() {
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia({
        video: { frameRate: { ideal: 15, max: 30 } }, audio: false,
      });
      const [track] = stream.getVideoTracks();
      if (this.#closed) { track.stop(); return null; }
      track.contentHint = 'detail';
      track.addEventListener('ended', () => this.stopScreen());
      this.#screen = track;
      this.#changed();
      return null;
    } catch (error) {
      return error.name === 'NotAllowedError' ? null : error.name;
    }
  }

  stopScreen() {
    if (!this.#screen) return;
    this.#screen.stop();
    this.#screen = null;
    this.#changed();
  }

  /** @returns {Promise<{cameras: MediaDeviceInfo[], mics: MediaDeviceInfo[]}>} */
  async devices() {
    const all = await (navigator.mediaDevices?.enumerateDevices?.() ?? Promise.resolve([]));
    const usable = (kind) => all.filter((device) => device.kind === kind && device.deviceId);
    return { cameras: usable('videoinput'), mics: usable('audioinput') };
  }

  /** Lets go of everything; lights go out. */
  close() {
    this.#closed = true;
    this.#opening.clear();
    for (const track of [this.#mic, this.#camera, this.#screen]) track?.stop();
    this.#mic = this.#camera = this.#screen = null;
  }

  #lastCamera = undefined;

  #take(kind, track) {
    if (!track) return;
    if (this.#closed || (kind === 'camera' && !this.cameraOn)) { track.stop(); return; }
    this.#drop(kind);
    this.problem[kind] = null;
    track.addEventListener('ended', () => this.#lost(kind, track));
    if (kind === 'mic') {
      track.enabled = this.micOn;
      this.#mic = track;
    } else {
      this.#lastCamera = track.getSettings().deviceId;
      this.#camera = track;
    }
  }

  #drop(kind) {
    const track = kind === 'mic' ? this.#mic : this.#camera;
    if (kind === 'mic') this.#mic = null;
    else this.#camera = null;
    track?.stop();
  }

  // 'ended' comes only when the device went away by itself: unplugged, or permission withdrawn.
  #lost(kind, track) {
    if (kind === 'mic' ? this.#mic !== track : this.#camera !== track) return;
    this.problem[kind] = 'NotFoundError';
    this.#drop(kind);
    this.#changed();
  }

  #changed() {
    if (!this.#closed) this.dispatchEvent(new Event('change'));
  }
}
