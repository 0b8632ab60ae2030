package classb

import (
	"crypto/aes"
	"math/rand"
	"testing"
	"time"

	"lorawand/radio"
)

// The slots in which The Things Stack 3.32.1 has sent to a device with DevAddr 0068DA7D and a
// ping slot each 2 s, by GPS time in ms.
func TestMeasuredSlots(t *testing.T) {
	addr := radio.DevAddr{0x00, 0x68, 0xda, 0x7d}
	const ms = radio.GPSTime(time.Millisecond)
	for _, slot := range []radio.GPSTime{1_479_919_234_360 * ms, 1_479_919_243_960 * ms} {
		for _, before := range []radio.GPSTime{0, 1, ms, 64*30*ms - 1} {
			if got := NextSlot(slot-before, addr, 1); got != slot {
				t.Errorf("%d ns before the slot at %d ms: %d ms", before, slot/ms, got/ms)
			}
		}
		if got := NextSlot(slot+1, addr, 1); got <= slot {
			t.Errorf("just behind the slot at %d ms: %d ms", slot/ms, got/ms)
		}
	}
	beacon := BeaconBefore(1_479_919_234_360 * ms)
	if got := offset(beacon, addr, 1); got != 8 {
		t.Errorf("offset %d, want 8", got)
	}
}

// pingOffset is that of the specification, word for word: Rand = aes128_encrypt(16 × 0x00,
// beaconTime | DevAddr | pad16), O = (Rand[0] + Rand[1] × 256) modulo pingPeriod, and the
// pingPeriod is 2^12 / pingNb, pingNb 2^(7-periodicity).
func pingOffset(beaconTime uint32, devAddr uint32, periodicity uint8) int {
	in := make([]byte, 16)
	for i := range 4 {
		in[i], in[4+i] = byte(beaconTime>>(8*i)), byte(devAddr>>(8*i))
	}
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		panic(err)
	}
	out := make([]byte, 16)
	block.Encrypt(out, in)
	pingNb := 1 << (7 - periodicity)
	return (int(out[0]) + int(out[1])*256) % (4096 / pingNb)
}

// At any time, for any device: the next slot is the first of all slots of this beacon period
// and the next that the specification gives the device.
func TestSlotsBySpecification(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	for range 2000 {
		periodicity := uint8(rnd.Intn(8))
		devAddr := rnd.Uint32()
		addr := radio.DevAddr{byte(devAddr >> 24), byte(devAddr >> 16), byte(devAddr >> 8), byte(devAddr)}
		now := time.Duration(rnd.Int63n(int64(2_000_000_000 * time.Second)))
		want := time.Duration(0)
		for beacon := now / (128 * time.Second); want == 0; beacon++ {
			begin := beacon * 128 * time.Second
			pingNb, pingPeriod := 1<<(7-periodicity), 32<<periodicity
			for n := range pingNb {
				slot := pingOffset(uint32(begin/time.Second), devAddr, periodicity) + n*pingPeriod
				at := begin + 2120*time.Millisecond + time.Duration(slot)*30*time.Millisecond
				if at >= now && want == 0 {
					want = at
				}
			}
		}
		if got := NextSlot(radio.GPSTime(now), addr, periodicity); got != radio.GPSTime(want) {
			t.Fatalf("DevAddr %08x, periodicity %d, at %v: %v, want %v", devAddr, periodicity, now, time.Duration(got), want)
		}
	}
}

// A periodicity that does not exist counts as the longest one.
func TestNoSuchPeriodicity(t *testing.T) {
	if a, b := NextSlot(1, radio.DevAddr{1}, 255), NextSlot(1, radio.DevAddr{1}, 7); a != b {
		t.Errorf("%v and %v", a, b)
	}
}
