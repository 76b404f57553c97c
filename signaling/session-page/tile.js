// One person's picture with name and state; or initials while there is no picture.

import { make, makeIcon, setText } from './dom.js';

function initials(name) {
  const words = name.replace(/[^\p{L}\p{N}\s]/gu, ' ').split(/\s+/).filter(Boolean);
  const picked = words.length > 1 ? [words[0], words.at(-1)] : words;
  return picked.map((word) => [...word][0]).join('').toLocaleUpperCase() || '?';
}

export class Tile {
  #video = make('video');
  #avatar = make('div', 'avatar');
  #name = make('span', 'tile-name');
  #state = make('span', 'tile-state');
  #muted = makeIcon('mic-off');
  #onBlocked;

  /**
   * @param {object} options
   * @param {boolean} options.self       mirrored and silent
   * @param {() => void} [options.onBlocked]  the browser wants a touch before it plays sound
   */
  constructor({ self, onBlocked }) {
    this.element = make('article', self ? 'tile self' : 'tile');
    this.#onBlocked = onBlocked;
    this.#video.autoplay = true;
    this.#video.playsInline = true;
    this.#video.muted = self;
    this.#avatar.setAttribute('aria-hidden', 'true');
    this.#muted.classList.add('tile-muted');
    const label = make('div', 'tile-label');
    label.append(this.#muted, this.#name, this.#state);
    this.element.append(this.#video, this.#avatar, label);
    this.#video.addEventListener('resize', () => this.#fit());
    new ResizeObserver(() => this.#fit()).observe(this.element);
  }

  /**
   * @param {object} shown
   * @param {string} shown.label     what is written below the picture
   * @param {string} shown.name
   * @param {string} shown.stateText   '' to show none
   * @param {string} shown.state       for the style: a PeerState, or 'self'
   * @param {?MediaStream} shown.stream
   * @param {boolean} shown.picture    whether there is a picture to see
   * @param {boolean} shown.sound      whether the microphone is on
   * @param {boolean} shown.screen     whether the picture is a screen
   */
  show({ label, name, stateText, state, stream, picture, sound, screen }) {
    this.element.dataset.state = state;
    this.element.dataset.picture = String(picture);
    this.element.dataset.screen = String(screen);
    this.element.setAttribute('aria-label', label);
    setText(this.#avatar, initials(name));
    setText(this.#name, label);
    setText(this.#state, stateText);
    this.#state.hidden = !stateText;
    this.#muted.classList.toggle('hidden', sound);
    this.#muted.setAttribute('aria-hidden', String(sound));
    this.#muted.setAttribute('role', 'img');
    this.#muted.setAttribute('aria-label', 'microphone is off');
    this.#video.setAttribute('aria-label', `${screen ? 'Screen' : 'Picture'} of ${name}`);
    if (this.#video.srcObject !== stream) {
      this.#video.srcObject = stream;
      if (stream) this.play();
    }
    this.#fit();
  }

  /** Must be called from a touch where the browser insists on one. */
  play() {
    this.#video.play().catch((error) => {
      if (error.name === 'NotAllowedError') this.#onBlocked?.();
    });
  }

  remove() {
    this.#video.srcObject = null;
    this.element.remove();
  }

  // Faces fill the tile while little is cut off; screens, and portraits in wide tiles, are shown whole.
  #fit() {
    const { videoWidth, videoHeight } = this.#video;
    const { clientWidth, clientHeight } = this.element;
    if (!videoWidth || !clientHeight) return;
    const ratio = (videoWidth / videoHeight) / (clientWidth / clientHeight);
    const whole = this.element.dataset.screen === 'true' || ratio > 1.9 || ratio < 0.55;
    this.element.dataset.fit = whole ? 'whole' : 'fill';
  }
}
