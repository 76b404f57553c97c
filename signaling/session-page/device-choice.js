// The two lists of cameras and microphones.

import { byId } from './dom.js';

function fill(select, devices, current, nothing) {
  const wanted = devices.map((device, index) => ({
    id: device.deviceId,
    // Browsers hide names until the person has allowed one device.
    label: device.label || `${nothing.replace('No ', '')} ${index + 1}`,
  }));
  const options = wanted.map(({ id, label }) => new Option(label, id, id === current, id === current));
  if (options.length === 0) options.push(new Option(`${nothing} found`, ''));
  select.replaceChildren(...options);
  select.disabled = wanted.length === 0;
}

/** @param {import('./media.js').LocalMedia} media */
export function startDeviceChoice(media) {
  const camera = byId('camera-choice');
  const mic = byId('mic-choice');
  let shown = '';
  const refresh = async () => {
    const { cameras, mics } = await media.devices();
    const currentCamera = media.camera?.getSettings().deviceId;
    const currentMic = media.mic?.getSettings().deviceId;
    const state = JSON.stringify([cameras, mics, currentCamera, currentMic]);
    // An open list must not be rebuilt under the person's finger.
    if (state === shown) return;
    shown = state;
    fill(camera, cameras, currentCamera, 'No camera');
    fill(mic, mics, currentMic, 'No microphone');
  };
  camera.addEventListener('change', () => media.open('camera', camera.value));
  mic.addEventListener('change', () => media.open('mic', mic.value));
  media.addEventListener('change', refresh);
  refresh();
}
