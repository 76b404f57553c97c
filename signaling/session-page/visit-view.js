// The visit itself: tiles, the list of people, the controls, and one line that says how it goes.

import { announce, byId, make, setSwitch, setText } from './dom.js';
import { Tile } from './tile.js';
import { aloneWords, connectionWords, personCount } from './words.js';

const kBannerTime = 15_000;  // ms a passing notice stays

export class VisitView {
  #media;
  /** @type {?import('./visit.js').Visit} */ #visit = null;
  #name = '';
  #tiles = new Map();
  #self = null;
  #notice = { text: '', timer: 0 };
  #soundBlocked = false;

  /**
   * @param {import('./media.js').LocalMedia} media
   * @param {{mic(): void, camera(): void, screen(): void, leave(): void}} on
   */
  constructor(media, on) {
    this.#media = media;
    byId('control-mic').addEventListener('click', on.mic);
    byId('control-camera').addEventListener('click', on.camera);
    byId('control-screen').addEventListener('click', on.screen);
    byId('control-leave').addEventListener('click', on.leave);
    byId('control-screen').hidden = !media.canShareScreen;
    byId('people-button').addEventListener('click', () => this.#togglePeople());
    byId('people-close').addEventListener('click', () => this.#togglePeople(false));
    byId('people').addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.#togglePeople(false);
    });
    byId('banner-button').addEventListener('click', () => {
      this.#soundBlocked = false;
      for (const tile of this.#tiles.values()) tile.play();
      this.render();
    });
    setText(byId('banner-button'), 'Turn on sound');
  }

  /** @param {import('./visit.js').Visit} visit */
  open(visit, name) {
    this.#visit = visit;
    this.#name = name;
    this.#soundBlocked = false;
    this.#self = new Tile({ self: true });
    byId('stage').append(this.#self.element);
    byId('visit-devices').append(byId('devices'));
    this.render();
  }

  close() {
    this.#visit = null;
    for (const tile of this.#tiles.values()) tile.remove();
    this.#tiles.clear();
    this.#self?.remove();
    this.#self = null;
    this.say('');
    this.#togglePeople(false, false);
    byId('lobby-devices').append(byId('devices'));
  }

  /** A passing notice. */
  say(text) {
    clearTimeout(this.#notice.timer);
    this.#notice.text = text;
    if (text) this.#notice.timer = setTimeout(() => this.say(''), kBannerTime);
    this.render();
  }

  /** It is not so any more. */
  unsay(text) {
    if (text && this.#notice.text === text) this.say('');
  }

  render() {
    if (!this.#visit) return;
    const people = this.#visit.roster.people;
    this.#renderTiles(people);
    this.#renderControls();
    this.#renderBanner();
    setText(byId('people-count'), personCount(people.length + 1));
    setText(byId('visit-status'), this.#statusLine(people));
    if (!byId('people').hidden) this.#renderPeople(people);
  }

  #renderTiles(people) {
    const stage = byId('stage');
    for (const [id, tile] of this.#tiles) {
      if (people.some((person) => person.id === id)) continue;
      tile.remove();
      this.#tiles.delete(id);
    }
    for (const person of people) {
      if (!this.#tiles.has(person.id)) {
        const tile = new Tile({ self: false, onBlocked: () => this.#soundWasBlocked() });
        this.#tiles.set(person.id, tile);
        stage.insertBefore(tile.element, this.#self.element);
      }
      const peer = this.#visit.peer(person.id);
      const [track] = peer?.stream.getVideoTracks() ?? [];
      const picture = person.media.video && Boolean(track) && !track.muted;
      this.#tiles.get(person.id).show({
        label: person.name,
        name: person.name,
        stateText: this.#words(person),
        state: peer?.state ?? 'connecting',
        stream: peer?.stream ?? null,
        picture,
        sound: person.media.audio,
        screen: person.media.screen && picture,
      });
    }
    const { camera, screen, state } = this.#media;
    const mine = screen ?? (state.video ? camera : null);
    this.#self.show({
      label: 'You',
      name: this.#name,
      stateText: screen ? 'Your screen is shared' : '',
      state: 'self',
      stream: this.#streamOf(mine),
      picture: Boolean(mine),
      sound: state.audio,
      screen: Boolean(screen),
    });
    byId('alone').hidden = people.length > 0;
    const [title, text] = aloneWords(this.#visit.knocks.size);
    setText(byId('alone-title'), title);
    setText(byId('alone-text'), text);
    // With one or two others our own picture floats; with more it takes its place in the grid.
    const floating = people.length < 3;
    stage.dataset.count = String(people.length + (floating ? 0 : 1));
    stage.dataset.floating = String(floating);
  }

  #ownStream = null;
  #streamOf(track) {
    if (!track) return null;
    if (this.#ownStream?.getVideoTracks()[0] !== track) this.#ownStream = new MediaStream([track]);
    return this.#ownStream;
  }

  #renderControls() {
    const { state, screen } = this.#media;
    const camera = Boolean(this.#media.camera) && this.#media.cameraOn;
    setSwitch(byId('control-mic'), state.audio, state.audio ? 'Mute' : 'Unmute');
    setSwitch(byId('control-camera'), camera, camera ? 'Stop video' : 'Start video');
    setSwitch(byId('control-screen'), !screen, screen ? 'Stop sharing' : 'Share screen');
  }

  #renderBanner() {
    let text = this.#notice.text;
    if (this.#soundBlocked) text = 'Your browser has not switched the sound on yet.';
    if (this.#visit.present && !this.#visit.transport) {
      text = 'The line to our server is interrupted. We are reconnecting by ourselves: please stay on '
        + 'this page.';
    }
    byId('banner').hidden = !text;
    if (text && text !== byId('banner-text').textContent) announce(text);
    setText(byId('banner-text'), text);
    byId('banner-button').hidden = !this.#soundBlocked;
  }

  #statusLine(people) {
    if (!this.#visit.present) return 'Joining…';
    if (people.length === 0) return this.#visit.knocks.size > 0 ? 'Somebody is waiting for you' : 'Waiting for the others';
    if (people.length === 1) return this.#words(people[0]);
    const connected = people.filter(({ id }) => this.#visit.peer(id)?.state === 'connected').length;
    if (connected === people.length) return 'Everybody is connected';
    return `${connected} of ${people.length} connected`;
  }

  #words({ id }) {
    return connectionWords(this.#visit.peer(id)?.state, this.#visit.routes.get(id));
  }

  #renderPeople(people) {
    const entry = (name, text, media) => {
      const item = make('li');
      item.append(make('span', 'person-name', name), make('span', 'person-state', text));
      const off = [!media.audio && 'microphone off', !media.video && 'camera off',
        media.screen && 'shares a screen'].filter(Boolean);
      if (off.length > 0) item.append(make('span', 'person-state', off.join(', ')));
      return item;
    };
    const items = [entry(`${this.#name} (you)`, '', this.#media.state),
      ...people.map((person) => entry(person.name, this.#words(person), person.media))];
    byId('people-list').replaceChildren(...items);
  }

  #togglePeople(open = byId('people').hidden, moveFocus = true) {
    byId('people').hidden = !open;
    byId('people-button').setAttribute('aria-expanded', String(open));
    this.render();
    if (moveFocus) byId(open ? 'people-title' : 'people-button').focus();
  }

  #soundWasBlocked() {
    this.#soundBlocked = true;
    this.render();
  }
}
