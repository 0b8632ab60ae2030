//go:build sim

package config

// Simulates says that device = "sim" is the model of the chip.
const Simulates = true
