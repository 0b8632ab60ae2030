package nowait

import "flag"

// The tests of all drivers can be run with a folder of recordings; those here need none.
var _ = flag.String("traces", "", "folder of recordings, which these tests do not use")
