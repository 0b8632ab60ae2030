package sx1302

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// TxState is the state of a transmitter.
type TxState uint8

// States of a transmitter.
const (
	TxUnknown TxState = iota
	TxFree
	TxScheduled
	TxEmitting
)

// String returns the state as a word.
func (s TxState) String() string {
	switch s {
	case TxFree:
		return "free"
	case TxScheduled:
		return "scheduled"
	case TxEmitting:
		return "emitting"
	}
	return "unknown"
}

// txState converts TX_FSM_STATUS to a state.
func txState(status int) TxState {
	switch status {
	case 0x80:
		return TxFree
	case 0x91, 0x92:
		return TxScheduled
	case 0x30, 0x50, 0x60, 0x70:
		return TxEmitting
	}
	return TxUnknown
}

// TxStatus returns the state of the transmitter of a chain.
func (c *Chip) TxStatus(chain int) (TxState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		return TxUnknown, ErrNotStarted
	}
	v, err := c.get(txStatus.of(chain, txStride))
	return txState(v), err
}

// Abort drops the packet of a chain, also on the air, and waits until the
// transmitter is free, at most 1 s.
func (c *Chip) Abort(ctx context.Context, chain int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		return ErrNotStarted
	}
	return c.abort(ctx, chain, answerWithin)
}

// abortWithin is Abort with another time limit.
func (c *Chip) abortWithin(chain int, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		return ErrNotStarted
	}
	return c.abort(context.Background(), chain, d)
}

func (c *Chip) abort(ctx context.Context, chain int, within time.Duration) error {
	of := func(f field) field { return f.of(chain, txStride) }
	err := c.setAll([]setting{{of(txTrigImmediate), 0}, {of(txTrigDelayed), 0}, {of(txTrigPPS), 0}})
	if err != nil {
		return err
	}
	for waited := time.Duration(0); waited <= within; waited += pollEvery {
		status, err := c.get(of(txStatus))
		if err != nil {
			return err
		}
		if txState(status) == TxFree {
			return c.abortScan(ctx, chain)
		}
		if err := c.sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
	return fmt.Errorf("sx1302: abort on radio %s: %w: the transmitter does not become free", chainName(chain), ErrNoAnswer)
}

// Stop aborts all packets. The radios and the chip run until they are reset.
func (c *Chip) Stop(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		return nil
	}
	c.started = false
	return errors.Join(c.abort(ctx, 0, answerWithin), c.abort(ctx, 1, answerWithin))
}
