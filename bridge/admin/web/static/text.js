// Texts, numbers and times as the page shows them.
import {prefs, S} from './state.js';

/** Text from outside: what could hide or turn it round is shown as a sign, as the commands do. */
export const safe = (text) => String(text ?? '').replace(HIDDEN, '\ufffd');
const HIDDEN = new RegExp(
  '[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff]',
  'g',
);

/** A number with a real minus and thin groups. */
export function num(v, digits = 0) {
  const [whole, rest] = Number(v).toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, '\u202f').replace('-', '\u2212');
  return rest ? `${grouped}.${rest}` : grouped;
}

/** As many digits as a value has, and at most 4 that say something. */
export function digitsOf(v) {
  const size = Math.abs(v);
  const most = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3;
  return Math.min(most, (String(v).split('.')[1] ?? '').length);
}

export const plural = (n, one, many = `${one}s`) => `${num(n)} ${n === 1 ? one : many}`;

/** How long ago, by the daemon's uptime, so that no calendar has to be right. */
export function agoText(at) {
  const s = (Date.now() - at) / 1e3;
  if (s < 5) return 'now';
  if (s < 60) return `${Math.floor(s / 5) * 5} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

const two = (n) => String(n).padStart(2, '0');
const three = (n) => String(n).padStart(3, '0');

/** Without a clock in the gateway there is no wall time: then it is counted from the daemon's start. */
export function exactText(at, ms) {
  if (S.status.clock === 'none') return `start + ${num((at - S.startedAt) / 1e3, ms ? 3 : 0)} s`;
  const d = new Date(at);
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  if (!ms && d.toDateString() === new Date().toDateString()) return time;
  const date = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  return `${date} ${time}${ms ? `.${three(d.getMilliseconds())}` : ''}`;
}

export const timeText = (at) => (prefs.exact ? exactText(at) : agoText(at));

/** A duration in ms. */
export function span(ms) {
  if (ms < 90e3) return `${Math.round(ms / 1e3)} s`;
  if (ms < 90 * 60e3) return `${Math.round(ms / 60e3)} min`;
  return ms < 36 * 3600e3 ? `${Math.round(ms / 3600e3)} h` : `${Math.round(ms / 86400e3)} d`;
}

/** An hour of the day or a date, for the axis of a chart. */
export function tickText(at, days) {
  const d = new Date(at);
  return days ? `${two(d.getDate())}.${two(d.getMonth() + 1)}.` : `${two(d.getHours())}:${two(d.getMinutes())}`;
}

/** What people write between the digits of an EUI or a key is taken out. */
export const cleanHex = (text) => text.replace(/^0x|[\s:,-]/gi, '').toUpperCase();

export const isHex = (text, digits) =>
  /^[0-9A-F]*$/i.test(text) && (digits ? text.length === digits : !(text.length % 2));

export function toBase64(hex) {
  return btoa((hex.match(/../g) ?? []).map((x) => String.fromCharCode(parseInt(x, 16))).join(''));
}

export const utf8Hex = (text) =>
  [...new TextEncoder().encode(text)].map((b) => b.toString(16).padStart(2, '0')).join('');
