// What a decoded payload says: names, values, and units where they are known.

// The normalized payload of The Things Stack has set units.
// Source: lorawan-stack, pkg/messageprocessors/normalizedpayload, uplink.go.
const UNITS = {
  'air.temperature': '°C',
  'air.relativeHumidity': '%',
  'air.pressure': 'hPa',
  'air.co2': 'ppm',
  'air.lightIntensity': 'lx',
  'wind.speed': 'm/s',
  'wind.direction': '°',
  'soil.temperature': '°C',
  'soil.moisture': '%',
  'soil.depth': 'cm',
  'soil.ec': 'dS/m',
  'water.temperature.current': '°C',
  battery: 'V',
};

const LIMIT = 60; // values of a payload

/** Flattens an object: {air: {temperature: 8}} is air.temperature 8. */
function flat(v, path, out) {
  if (out.length >= LIMIT) return out;
  if (v === null || typeof v !== 'object') {
    out.push({key: path, value: v});
    return out;
  }
  for (const [k, x] of Object.entries(v)) flat(x, path ? `${path}.${k}` : k, out);
  return out;
}

/** [{key, label, value, unit}] of an uplink, normalized where it is, else as decoded; none if it is not decoded. */
export function valuesOf(uplink) {
  const from = uplink?.normalized ?? uplink?.decoded;
  if (!from) return [];
  const units = uplink.normalized ? UNITS : {};
  return flat(from, '', []).map((v) => ({...v, unit: units[v.key] ?? '', label: labelOf(v.key)}));
}

/** "air.relativeHumidity" is read as "relative humidity". */
function labelOf(key) {
  const last = key
    .split('.')
    .slice(-2)
    .filter((part, i, all) => i === all.length - 1 || /^\d+$/.test(all[1]));
  return last
    .join(' ')
    .replace(/_/g, ' ')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase();
}

export const valueAt = (uplink, key) => valuesOf(uplink).find((v) => v.key === key)?.value;
