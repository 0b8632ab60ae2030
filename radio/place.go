package radio

// Place is where a gateway is.
type Place struct {
	Latitude, Longitude float64 // degrees, positive to the north and to the east
	Altitude            int32   // m above the sea
}
