package store_test

import (
	"fmt"

	. "lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
)

// Records are committed all or none, and are there when the store is opened again.
func Example() {
	disk := storetest.NewDisk(nil) // without FS: a folder
	s, err := Open("", Options{FS: disk})
	if err != nil {
		panic(err)
	}
	if err := s.Commit(
		Record{Kind: "device", Key: "app1/dev1", Version: 1, Data: []byte(`{"name":"door"}`)},
		Record{Kind: "device", Key: "app1/dev2", Version: 1, Data: []byte(`{"name":"meter"}`)},
	); err != nil {
		panic(err)
	}
	if err := s.Commit(Record{Kind: "device", Key: "app1/dev2"}); err != nil { // no Data: it goes
		panic(err)
	}
	if err := s.Close(); err != nil {
		panic(err)
	}

	s, err = Open("", Options{FS: disk})
	if err != nil {
		panic(err)
	}
	defer s.Close()
	for _, r := range s.Records("device") {
		fmt.Printf("%s: %s\n", r.Key, r.Data)
	}
	// Output: app1/dev1: {"name":"door"}
}
