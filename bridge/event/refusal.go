package event

// JoinRefusal is why a join-request is not answered.
type JoinRefusal string

// Refusals.
const (
	JoinUnknownDevEUI  JoinRefusal = "unknown_dev_eui"
	JoinUnknownJoinEUI JoinRefusal = "unknown_join_eui"
	JoinWrongKey       JoinRefusal = "wrong_key"
	JoinUsedNonce      JoinRefusal = "used_dev_nonce"
	JoinBudget         JoinRefusal = "budget"
	JoinUnserved       JoinRefusal = "unserved"
	JoinNoWindow       JoinRefusal = "no_window"
	JoinNoAddress      JoinRefusal = "no_dev_addr"
	JoinNotStored      JoinRefusal = "not_stored"
)

// JoinRefusals are all of them.
var JoinRefusals = [...]JoinRefusal{
	JoinUnknownDevEUI, JoinUnknownJoinEUI, JoinWrongKey, JoinUsedNonce, JoinBudget, JoinUnserved, JoinNoWindow, JoinNoAddress, JoinNotStored,
}

// joinHints say what an owner can do.
var JoinHints = map[JoinRefusal]string{
	JoinUnknownDevEUI:  "if the device is yours, create it with this DevEUI and JoinEUI",
	JoinUnknownJoinEUI: "a device with this DevEUI has another JoinEUI: set the one that it sends",
	JoinWrongKey:       "the device's AppKey is not the one that is stored: compare them, also for the order of the bytes",
	JoinUsedNonce:      "the device repeats DevNonces: it has lost them in a reset, or somebody replays; if it was reset, let it forget them with: lorawand device set DEVICE --application APPLICATION --reset-join-nonces",
	JoinBudget:         "too many frames with a wrong MIC come by this gateway; the device will try again",
	JoinNoWindow:       "no gateway could send the join-accept in time; the device will try again",
	JoinNotStored:      "the store cannot be written; the device will try again",
}
