//go:build !small

package homeassistant

import (
	"math"
	"strings"
	"unicode"
)

// class is what Home Assistant knows a value as. The zero value is a number, or an on and
// off, of which nothing is known.
//
// Source of the words and of the units that each allows: home-assistant/core,
// components/sensor/const.py and components/binary_sensor/__init__.py.
type class struct {
	device string // device_class
	unit   string
	total  bool // it only grows: state_class total_increasing
}

var (
	celsius      = class{device: "temperature", unit: "°C"}
	fahrenheit   = class{device: "temperature", unit: "°F"}
	humidity     = class{device: "humidity", unit: "%"}
	moisture     = class{device: "moisture", unit: "%"}
	battery      = class{device: "battery", unit: "%"}
	volts        = class{device: "voltage", unit: "V"}
	millivolts   = class{device: "voltage", unit: "mV"}
	hectopascal  = class{device: "atmospheric_pressure", unit: "hPa"}
	kilopascal   = class{device: "atmospheric_pressure", unit: "kPa"}
	pascal       = class{device: "atmospheric_pressure", unit: "Pa"}
	co2          = class{device: "carbon_dioxide", unit: "ppm"}
	lux          = class{device: "illuminance", unit: "lx"}
	windSpeed    = class{device: "wind_speed", unit: "m/s"}
	windFrom     = class{unit: "°"}
	conductivity = class{device: "conductivity", unit: "mS/cm"} // as many as dS/m
	acidity      = class{device: "ph"}
	ppm          = class{unit: "ppm"}
	degrees      = class{unit: "°"}
)

// normalizedClasses are those of normalized_payload, whose schema has the units.
//
// Source: lib/payload.json of TheThingsNetwork/lorawan-devices.
var normalizedClasses = map[string]class{
	"soil.depth": {device: "distance", unit: "cm"}, "soil.moisture": moisture, "soil.temperature": celsius,
	"soil.ec": conductivity, "soil.pH": acidity, "soil.n": ppm, "soil.p": ppm, "soil.k": ppm,
	"air.temperature": celsius, "air.relativeHumidity": humidity, "air.pressure": hectopascal, "air.co2": co2,
	"air.lightIntensity": lux, "wind.speed": windSpeed, "wind.direction": windFrom,
	"rain.intensity":        {device: "precipitation_intensity", unit: "mm/h"},
	"rain.cumulative":       {device: "precipitation", unit: "mm", total: true},
	"water.temperature.min": celsius, "water.temperature.max": celsius, "water.temperature.avg": celsius,
	"water.temperature.current": celsius, "metering.water.total": {device: "water", unit: "L", total: true},
	"position.latitude": degrees, "position.longitude": degrees,
}

// numberClasses are those of decoded_payload, by the names that formatters of makers use:
// in lower case, without qualifiers and numbers of channels.
var numberClasses = map[string]class{
	"temperature": celsius, "temp": celsius, "tempc": celsius, "temperaturec": celsius, "temperaturecelsius": celsius,
	"dewpoint": celsius, "tempf": fahrenheit, "temperaturef": fahrenheit, "temperaturefahrenheit": fahrenheit,
	"humidity": humidity, "hum": humidity, "humi": humidity, "relativehumidity": humidity, "rh": humidity,
	"moisture": moisture, "vwc": moisture,
	"batterylevel": battery, "batterypercentage": battery, "batterypercent": battery, "batlevel": battery,
	"batterypct": battery, "batpercent": battery, "soc": battery,
	"batterymv": millivolts, "batmv": millivolts, "batteryvoltagemv": millivolts, "vbatmv": millivolts,
	"voltagemv": millivolts,
	"co2":       co2, "co2ppm": co2, "carbondioxide": co2, "eco2": co2, "co2concentration": co2,
	"co": {device: "carbon_monoxide", unit: "ppm"}, "illuminance": lux, "illumination": lux, "lux": lux,
	"luminosity": lux, "lightintensity": lux, "lightlux": lux, "lightlevellux": lux,
	"pm1": {device: "pm1", unit: "µg/m³"}, "pm1_0": {device: "pm1", unit: "µg/m³"}, "pm25": {device: "pm25", unit: "µg/m³"},
	"pm10": {device: "pm10", unit: "µg/m³"}, "windspeed": windSpeed, "winddirection": windFrom,
	"ph": acidity, "latitude": degrees, "longitude": degrees, "altitude": {device: "distance", unit: "m"},
	"distancemm": {device: "distance", unit: "mm"}, "distancecm": {device: "distance", unit: "cm"},
	"rainfallmm": {device: "precipitation", unit: "mm"}, "rainmm": {device: "precipitation", unit: "mm"},
	"energykwh": {device: "energy", unit: "kWh", total: true}, "energywh": {device: "energy", unit: "Wh", total: true},
	"powerw": {device: "power", unit: "W"}, "activepower": {device: "power", unit: "W"},
	"currentma": {device: "current", unit: "mA"}, "currenta": {device: "current", unit: "A"},
	"watervolumel": {device: "water", unit: "L", total: true}, "volumem3": {device: "water", unit: "m³", total: true},
}

// guesses are classes of names that makers use for several units: the number decides.
var guesses = map[string]func(float64) class{
	"battery": batteryClass, "bat": batteryClass, "batt": batteryClass,
	"batteryvoltage": voltageClass, "batvoltage": voltageClass, "batv": voltageClass, "batteryv": voltageClass,
	"vbat": voltageClass, "voltage": voltageClass, "vdd": voltageClass, "supplyvoltage": voltageClass,
	"pressure": pressureClass, "barometricpressure": pressureClass, "atmosphericpressure": pressureClass,
	"barometer": pressureClass, "airpressure": pressureClass, "pressurehpa": pressureClass,
}

// batteryClass knows the voltage of cells by its fraction.
func batteryClass(n float64) class {
	switch {
	case n > 1000:
		return millivolts
	case n < 30 && n != math.Trunc(n):
		return volts
	case n >= 0 && n <= 100:
		return battery
	}
	return class{}
}

func voltageClass(n float64) class {
	if n >= 1000 {
		return millivolts
	}
	return volts
}

// pressureClass goes by what the air has: 300 to 1100 hPa.
func pressureClass(n float64) class {
	switch {
	case n >= 300 && n <= 1200:
		return hectopascal
	case n >= 30 && n <= 120:
		return kilopascal
	case n >= 30_000 && n <= 120_000:
		return pascal
	}
	return class{}
}

// booleanClasses are device classes of binary sensors.
var booleanClasses = map[string]class{
	"motion": {device: "motion"}, "pir": {device: "motion"}, "motiondetected": {device: "motion"},
	"occupancy": {device: "occupancy"}, "occupied": {device: "occupancy"}, "presence": {device: "occupancy"},
	"door": {device: "door"}, "dooropen": {device: "door"}, "window": {device: "window"},
	"windowopen": {device: "window"}, "open": {device: "opening"}, "leak": {device: "moisture"},
	"waterleak": {device: "moisture"}, "leakdetected": {device: "moisture"}, "tamper": {device: "tamper"},
	"smoke": {device: "smoke"}, "vibration": {device: "vibration"}, "lowbattery": {device: "battery"},
	"batterylow": {device: "battery"},
}

// qualifiers say which of several temperatures a value is, and change nothing of its unit.
var qualifiers = map[string]bool{
	"air": true, "ambient": true, "internal": true, "external": true, "indoor": true, "outdoor": true, "soil": true,
	"water": true, "surface": true, "board": true, "chip": true, "mcu": true, "probe": true, "sensor": true, "sht": true,
	"ds": true, "min": true, "max": true, "avg": true, "mean": true, "inside": true, "outside": true,
}

// statistics are those of the qualifiers that stand for a number of its own, by the word of the schema.
var statistics = map[string]string{
	"min": "min", "minimum": "min", "max": "max", "maximum": "max", "avg": "avg", "average": "avg", "mean": "avg",
}

// statistic returns which statistic a value is; "" is the current value.
func statistic(path []string) string {
	for _, name := range path {
		for _, word := range split(name) {
			if s := statistics[word]; s != "" {
				return s
			}
		}
	}
	return ""
}

// numberClass returns the class of a number in decoded_payload.
func numberClass(path []string, n float64) class {
	whole := leaf(path)
	names := [...]string{strings.ToLower(whole), strings.Join(split(whole), ""), strings.Join(significant(whole), "")}
	for _, name := range names {
		if c, ok := numberClasses[name]; ok {
			return c
		}
		if guess, ok := guesses[name]; ok {
			return guess(n)
		}
	}
	return class{}
}

// leaf returns the name that says what a value is.
func leaf(path []string) string {
	last := path[len(path)-1]
	if len(path) > 1 && strings.EqualFold(last, "value") {
		return path[len(path)-2]
	}
	return last
}

// significant returns the words of a name that say what is measured.
func significant(name string) (out []string) {
	for _, w := range split(name) {
		if short := strings.TrimRight(w, "0123456789"); short == "" || qualifiers[short] {
			continue
		} else if _, known := numberClasses[w]; !known {
			w = short
		}
		out = append(out, w)
	}
	return out
}

// split returns the words of a name in lower case: those of "TempC_SHT" are temp, c and
// sht.
func split(name string) (words []string) {
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
		}
		word = word[:0]
	}
	lower := false
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			lower = false
			continue
		case unicode.IsUpper(r) && lower && len(word) > 1: // pH is one
			end()
		}
		word = append(word, r)
		lower = unicode.IsLower(r)
	}
	end()
	return words
}
