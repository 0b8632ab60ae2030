package jetstream

import (
	"context"
	"fmt"
	"log/slog"
)

// streamConfig has the settings of a stream that matter here. JetStream's own names.
type streamConfig struct {
	Name       string   `json:"name"`
	Subjects   []string `json:"subjects"`
	Retention  string   `json:"retention"`
	Storage    string   `json:"storage"`
	Discard    string   `json:"discard"`
	Replicas   int      `json:"num_replicas"`
	MaxAge     int64    `json:"max_age"`
	MaxMsgs    int64    `json:"max_msgs"`
	MaxBytes   int64    `json:"max_bytes"`
	MaxPerSubj int64    `json:"max_msgs_per_subject"`
	MaxMsgSize int32    `json:"max_msg_size"`
	DenyPurge  bool     `json:"deny_purge"`
}

type streamInfo struct {
	Config streamConfig `json:"config"`
	State  struct {
		Last uint64 `json:"last_seq"`
	} `json:"state"`
}

// clustered is how many copies of the stream there are where the servers are a cluster.
const clustered = 3

// ensure makes the stream, if there is none, and checks the settings of one that there is.
func (l *link) ensure(ctx context.Context, o *Options) error {
	var info streamInfo
	err := l.api(ctx, "INFO", nil, &info)
	if isCode(err, codeNoStream) {
		if o.After > 0 {
			return fmt.Errorf("stream %s: %w: it is gone, and had %d commits", l.bucket, ErrStream, o.After)
		}
		err = l.create(ctx, o, &info)
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", l.bucket, err)
	}
	return info.Config.check(l.replicas(o), o.Logger)
}

func (l *link) replicas(o *Options) int {
	switch {
	case o.Replicas > 0:
		return o.Replicas
	case l.nc.ConnectedClusterName() != "":
		return clustered
	}
	return 1
}

func (l *link) create(ctx context.Context, o *Options, info *streamInfo) error {
	c := streamConfig{
		Name: l.bucket, Subjects: []string{subjectPrefix(l.bucket) + "log.*"}, Retention: "limits", Storage: "file",
		Discard: "new", Replicas: l.replicas(o), MaxMsgs: -1, MaxBytes: -1, MaxPerSubj: -1, MaxMsgSize: -1,
	}
	return l.api(ctx, "CREATE", c, info)
}

// check returns what is wrong with the settings of a stream: whatever would lose messages.
func (c *streamConfig) check(replicas int, log *slog.Logger) error {
	switch {
	case c.Retention != "limits" || c.MaxAge != 0 || c.MaxPerSubj > 0,
		c.Discard == "old" && (c.MaxMsgs > 0 || c.MaxBytes > 0):
		return fmt.Errorf("%w: it loses messages: retention %s, max_age %d ns, max_msgs %d, max_bytes %d, "+
			"max_msgs_per_subject %d, discard %s", ErrStream, c.Retention, c.MaxAge, c.MaxMsgs, c.MaxBytes,
			c.MaxPerSubj, c.Discard)
	case c.Storage != "file":
		return fmt.Errorf("%w: it is in memory, which a restart of the servers empties", ErrStream)
	case c.DenyPurge:
		return fmt.Errorf("%w: deny_purge is set, so that it would grow without bound", ErrStream)
	case c.Replicas < replicas:
		log.Warn("the stream has fewer copies than it should: a server that fails takes the state with it",
			"stream", c.Name, "copies", c.Replicas, "should", replicas,
			"hint", fmt.Sprintf("nats stream edit %s --replicas %d", c.Name, replicas))
	}
	return nil
}
