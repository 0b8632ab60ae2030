package main

import (
	"os/exec"
	"slices"

	"lorawand/concentrator/air"
	"lorawand/radio/frame"
)

// halt ends the devices and the applications that push, and waits until they have ended.
func (k *killed) halt() {
	k.halted.Do(func() { close(k.stop) })
	k.wg.Wait()
}

// abandon ends a process of a test that gives up, and the client of it.
func (k *killed) abandon(cmd *exec.Cmd) func() {
	return func() {
		k.mu.Lock()
		c := k.client
		k.mu.Unlock()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if c != nil {
			c.Disconnect(1000) // ms, at most
		}
	}
}

// transmissions returns those of the gateways so far.
func (k *killed) transmissions() []air.Transmission {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.sent)
}

func (k *killed) check() {
	k.Helper()
	lost := k.lost()
	k.mu.Lock()
	answered := len(k.answered)
	k.mu.Unlock()
	if len(lost) > 0 {
		k.Errorf("%d of %d items that were answered are lost: %v", len(lost), answered, lost[:min(len(lost), 10)])
	}
	k.checkTraffic()
}

// checkTraffic checks all but the items.
func (k *killed) checkTraffic() {
	k.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, v := range k.devices {
		if k.joinsAir(i) && k.joins[v.Name()] != 1 {
			k.Errorf("%s has joined %d times", v.Name(), k.joins[v.Name()])
		}
	}
	if len(k.answered) < 10 || len(k.sent) < 10 {
		k.Errorf("%d items, %d downlinks: that tests little", len(k.answered), len(k.sent))
	}
	if len(k.twice) > 0 {
		k.Errorf("published twice: %v", k.twice)
	}
	checkCounters(k.TB, k.sent)
}

// checkEnds wants one end for each item, and that they come in turn. It returns how many were told again behind a kill.
func (k *killed) checkEnds() (again int) {
	k.Helper()
	untold := k.untold()
	k.mu.Lock()
	defer k.mu.Unlock()
	for payload, e := range k.ends {
		if e.twice {
			k.Errorf("%s has come to an end twice in one life of the daemon", payload)
		}
		if e.times > 1 {
			again++
		}
	}
	if len(untold) > 0 {
		k.Errorf("of %d of %d items no end was told: %v", len(untold), len(k.answered), untold[:min(len(untold), 10)])
	}
	if len(k.unturned) > 0 {
		k.Errorf("out of turn: %v", k.unturned)
	}
	return again
}

// checkJoinAccepts wants that no join-request of those that were sent by then is taken again.
func (k *killed) checkJoinAccepts(by int) {
	k.Helper()
	for _, tx := range k.transmissions()[by:] {
		if m, err := frame.TypeOf(tx.PHYPayload); err == nil && m == frame.TypeJoinAccept {
			k.Errorf("a DevNonce is taken again: join-accept at %v", tx.Begin)
		}
	}
}
