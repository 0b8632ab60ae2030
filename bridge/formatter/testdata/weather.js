/*
 * Decoder of a weather station that does not exist, in the manner of device
 * makers: a list of types, some ways to read numbers, and one loop.
 */

var TYPE_VERSION = 0x00;
var TYPE_BATTERY = 0x01;
var TYPE_TEMPERATURE = 0x02;
var TYPE_HUMIDITY = 0x03;
var TYPE_PRESSURE = 0x04;
var TYPE_WIND = 0x05;
var TYPE_POSITION = 0x06;
var TYPE_FLAGS = 0x07;
var TYPE_STATUS = 0x08;

var WIND_NAMES = [
  'N',
  'NE',
  'E',
  'SE',
  'S',
  'SW',
  'W',
  'NW',
];

var FLAGS = {
  1: 'door',
  2: 'rain',
  4: 'lightning',
  8: 'tamper',
};

function uint16(bytes, at) {
  return (bytes[at] << 8) | bytes[at + 1];
}

function int16(bytes, at) {
  var v = uint16(bytes, at);
  if (v > 0x7fff) {
    v -= 0x10000;
  }
  return v;
}

function int24(bytes, at) {
  var v = (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
  if (v > 0x7fffff) {
    v -= 0x1000000;
  }
  return v;
}

function round(value, digits) {
  var factor = Math.pow(10, digits);
  return Math.round(value * factor) / factor;
}

function windName(direction) {
  var index = Math.round(direction / 45) % 8;
  return WIND_NAMES[index];
}

function flagNames(bits) {
  var names = [];
  Object.keys(FLAGS).forEach(function (bit) {
    if (bits & parseInt(bit, 10)) {
      names.push(FLAGS[bit]);
    }
  });
  return names.sort();
}

function text(bytes, from, to) {
  var s = '';
  for (var i = from; i < to; i++) {
    s += String.fromCharCode(bytes[i]);
  }
  return s.replace(/\s+$/, '');
}

function decodeBattery(bytes, at, out) {
  out.battery = round(uint16(bytes, at) / 1000, 3);
  return 2;
}

function decodeTemperature(bytes, at, out) {
  out.temperature = round(int16(bytes, at) / 10, 1);
  return 2;
}

function decodeHumidity(bytes, at, out) {
  out.humidity = bytes[at] / 2;
  return 1;
}

function decodePressure(bytes, at, out) {
  out.pressure = round(uint16(bytes, at) / 10, 1);
  return 2;
}

function decodeWind(bytes, at, out) {
  var speed = uint16(bytes, at) / 10;
  var direction = uint16(bytes, at + 2);
  out.wind = {
    speed: round(speed, 1),
    direction: direction,
    name: windName(direction),
  };
  return 4;
}

function decodePosition(bytes, at, out) {
  var what = bytes[at];
  var length = 1;
  var gps = {};
  if (what & 1) {
    gps.latitude = round(int24(bytes, at + 1) / 10000, 4);
    gps.longitude = round(int24(bytes, at + 4) / 10000, 4);
    length += 6;
  }
  if (what & 2) {
    gps.altitude = int16(bytes, at + length);
    length += 2;
  }
  out.gps = gps;
  return length;
}

function decodeFlags(bytes, at, out) {
  out.flags = flagNames(bytes[at]);
  return 1;
}

function decodeStatus(bytes, at, out) {
  out.status = text(bytes, at, at + 2);
  return 2;
}

var DECODERS = {};
DECODERS[TYPE_BATTERY] = decodeBattery;
DECODERS[TYPE_TEMPERATURE] = decodeTemperature;
DECODERS[TYPE_HUMIDITY] = decodeHumidity;
DECODERS[TYPE_PRESSURE] = decodePressure;
DECODERS[TYPE_WIND] = decodeWind;
DECODERS[TYPE_POSITION] = decodePosition;
DECODERS[TYPE_FLAGS] = decodeFlags;
DECODERS[TYPE_STATUS] = decodeStatus;

function summary(data) {
  return ['temperature', 'humidity', 'pressure']
    .filter(function (key) {
      return data[key] !== undefined;
    })
    .map(function (key) {
      return key + '=' + data[key];
    })
    .join(' ');
}

function decodeUplink(input) {
  var bytes = input.bytes;
  var data = { version: bytes[0] };
  var warnings = [];
  var at = 1;
  if (input.fPort !== 2) {
    return { errors: ['unknown port ' + input.fPort] };
  }
  while (at < bytes.length) {
    var decode = DECODERS[bytes[at]];
    if (!decode) {
      warnings.push('unknown type ' + bytes[at]);
      break;
    }
    at += 1 + decode(bytes, at + 1, data);
  }
  data.summary = summary(data);
  data.time = input.recvTime;
  if (data.battery < 2.5) {
    warnings.push('low battery');
  }
  return { data: data, warnings: warnings };
}

function normalizeUplink(input) {
  var d = input.data;
  return {
    data: {
      air: { temperature: d.temperature, relativeHumidity: d.humidity, pressure: d.pressure },
      wind: { speed: d.wind.speed, direction: d.wind.direction },
    },
  };
}
