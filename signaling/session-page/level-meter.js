// Shows that the microphone hears something.

/**
 * @param {MediaStreamTrack} track
 * @param {HTMLElement} bar  its width shows the level; for eyes only
 * @returns {() => void} stops it
 */
export function startLevelMeter(track, bar) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  // Without a touch on the page some browsers keep sound processing asleep.
  const resume = () => context.resume().catch(() => {});
  document.addEventListener('pointerdown', resume, { once: true });
  const samples = new Float32Array(analyser.fftSize);
  let shown = 0;
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    // -60 dB … -10 dB over the width; falls slower than it rises, as ears expect.
    const level = Math.min(Math.max((10 * Math.log10(power + 1e-9) + 60) / 50, 0), 1);
    shown = Math.max(level, shown * 0.8);
    bar.style.transform = `scaleX(${shown.toFixed(3)})`;
  }, 80);
  return () => {
    clearInterval(timer);
    document.removeEventListener('pointerdown', resume);
    bar.style.transform = 'scaleX(0)';
    context.close().catch(() => {});
  };
}
