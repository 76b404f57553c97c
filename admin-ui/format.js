// Times, counts and sizes as people read them. Times are local; UTC stands beside them, because the log
// itself is in UTC.

const kLocale = navigator.language || 'en';
const time = new Intl.DateTimeFormat(kLocale, { hour: 'numeric', minute: '2-digit' });
const full = new Intl.DateTimeFormat(kLocale, {
  year: 'numeric', month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit', second: '2-digit',
});
const day = new Intl.DateTimeFormat(kLocale, { month: 'short', day: 'numeric' });
const whole = new Intl.NumberFormat(kLocale, { maximumFractionDigits: 0 });

export const zoneName = Intl.DateTimeFormat().resolvedOptions().timeZone;

export const utcText = (ms) => `${new Date(ms).toISOString().replace('T', ' ').replace('Z', '')} UTC`;
export const timestamp = (ms) => full.format(ms);
export const clock = (ms) => time.format(ms);
// "14:02", with the day in front when it was not today.
export function since(ms) {
  const today = new Date().toDateString() === new Date(ms).toDateString();
  return today ? clock(ms) : `${day.format(ms)}, ${clock(ms)}`;
}

export function lasting(ms) {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 1) return 'less than a minute';
  if (minutes < 60) return plural(minutes, 'minute');
  const hours = Math.floor(minutes / 60);
  return minutes % 60 ? `${hours} h ${minutes % 60} min` : plural(hours, 'hour');
}

export const count = (n) => whole.format(n);
export const plural = (n, noun, many = `${noun}s`) => `${count(n)} ${n === 1 ? noun : many}`;

function scaled(value, base, units) {
  let i = 0;
  while (value >= base && i < units.length - 1) { value /= base; ++i; }
  const digits = i === 0 || value >= 100 ? 0 : 1;
  const text = new Intl.NumberFormat(kLocale, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
  return { value: text, unit: units[i] };
}

export const bits = (bytesPerSecond) => scaled(bytesPerSecond * 8, 1000, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s']);
export function bytes(n) {
  const { value, unit } = scaled(n, 1000, ['bytes', 'kB', 'MB', 'GB', 'TB']);
  return `${value} ${unit}`;
}
