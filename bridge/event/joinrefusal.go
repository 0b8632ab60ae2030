package event

// JoinRefusal is the reason for not answering a join-request or rejoin-request.
type JoinRefusal string

// Reasons for not answering a request.
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
	JoinUsedRJCount    JoinRefusal = "used_rj_count" // of a rejoin-request
	JoinOtherSession   JoinRefusal = "other_session" // of a rejoin-request
)

// JoinRefusals lists all of them.
var JoinRefusals = [...]JoinRefusal{
	JoinUnknownDevEUI, JoinUnknownJoinEUI, JoinWrongKey, JoinUsedNonce, JoinBudget,
	JoinUnserved, JoinNoWindow, JoinNoAddress, JoinNotStored, JoinUsedRJCount, JoinOtherSession,
}
