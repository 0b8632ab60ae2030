// Package fuzztest fails a fuzz test for an input that costs too much of a processor.
package fuzztest

import (
	"flag"
	"fmt"
	"reflect"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Limit is how much of a processor one input may cost. What is fuzzed has counters of coverage in it, which make it
// several times slower than it is on a gateway's frames.
const Limit = 100 * time.Millisecond

// tries is how often an input must be too slow, one time after the other: a machine that is held up can charge a thread
// for that.
const tries = 3

// Quick returns a function for testing.F.Fuzz that does what target does, and fails for an input that costs more than
// Limit. It counts what the thread of target uses, whatever else runs, so nothing of goroutines that target starts.
// Without -fuzz it is target: the inputs are old ones, and the processor may be emulated.
func Quick[F any](target F) F {
	if on := flag.Lookup("test.fuzz"); on == nil || on.Value.String() == "" {
		return target
	}
	return within(target, Limit)
}

// failing is a testing.T.
type failing interface {
	Errorf(format string, args ...any)
}

// within is Quick with a limit.
func within[F any](target F, limit time.Duration) F {
	f := reflect.ValueOf(target)
	return reflect.MakeFunc(f.Type(), func(args []reflect.Value) []reflect.Value {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var took time.Duration
		for range tries {
			before := used()
			f.Call(args)
			if took = used() - before; took <= limit {
				return nil
			}
		}
		args[0].Interface().(failing).Errorf("it takes %v of a processor, more than %v", took, limit)
		return nil
	}).Interface().(F)
}

// used returns how much of a processor the thread has used.
func used() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		panic(fmt.Sprintf("getrusage(2): %v", err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
