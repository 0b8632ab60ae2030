// From what the daemon answers to what the screens show.

const TIMES = new Set(['at', 'first', 'last', 'since', 'lastUplink', 'lastPull', 'lastAck', 'used', 'expires']);
const FOREIGN = new Set(['raw', 'decoded', 'normalized']); // what devices and other programs have written

/**
 * Times come as ms since the start of the daemon, and become those of Date.now(). offset is the start, so neither the
 * gateway's nor the browser's clock has to be right.
 */
export function local(v, offset) {
  if (Array.isArray(v)) return v.map((x) => local(x, offset));
  if (v === null || typeof v !== 'object') return v;
  const out = {};
  for (const [k, x] of Object.entries(v)) {
    if (FOREIGN.has(k)) out[k] = x;
    else out[k] = TIMES.has(k) && typeof x === 'number' ? x + offset : local(x, offset);
  }
  return out;
}

// The SNR that a spreading factor needs, dB. Source: SX1276 datasheet, table 13.
const LIMITS = {5: -2.5, 6: -5, 7: -7.5, 8: -10, 9: -12.5, 10: -15, 11: -17.5, 12: -20};

export const limitOf = (sf) => LIMITS[sf];
export const marginOf = (u) => (u.sf in LIMITS ? u.snr - LIMITS[u.sf] : null);

const normalizedOf = (n) => (Array.isArray(n) ? n[0] : n);

export function uplink(u) {
  return {...u, heard: u.heard ?? [], normalized: normalizedOf(u.normalized)};
}

export function device(d) {
  const uplinks = (d.uplinks ?? []).map(uplink);
  const all = d.heardCount + d.lost;
  return {
    ...d,
    key: `${d.app}/${d.id}`,
    last: uplinks[0],
    frames: uplinks,
    loss: all > 1 ? d.lost / all : null,
    queue: d.queue ?? [],
    outcomes: d.outcomes ?? [],
    mac: d.mac ?? [],
  };
}

export const event = (e) => (e.up ? {...e, up: uplink(e.up)} : e);

/** A device after an uplink that came over the stream. Its margin is a median, which the daemon counts. */
export function heard(d, u) {
  const gap = d.last ? u.fcnt - d.last.fcnt - 1 : 0;
  const lost = d.lost + Math.max(0, gap);
  const heardCount = d.heardCount + 1;
  return {...d, last: u, lost, heardCount, loss: lost / (heardCount + lost), state: 'alive', heard: true};
}
