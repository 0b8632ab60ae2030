package admin

import (
	"bufio"
	"bytes"
	"context"
	"errors"

	"lorawand/bridge/store"
)

// backupPart is how much of a backup stands in a part of the answer, bytes.
const backupPart = 32 << 10

// BackupPart is a piece of a backup's text.
type BackupPart struct {
	Text []byte `json:"text"`
}

// backup writes the text in parts, so that no line is longer than others.
func (a *Admin) backup(_ context.Context, _ struct{}, r reply) error {
	w := bufio.NewWriterSize(replyWriter(r), backupPart)
	if err := a.o.Store.Backup(w); err != nil {
		return err
	}
	return w.Flush()
}

// replyWriter makes parts of an answer of what is written.
type replyWriter reply

// Write implements io.Writer.
func (w replyWriter) Write(b []byte) (int, error) {
	if err := w(BackupPart{b}); err != nil {
		return 0, err
	}
	return len(b), nil
}

var errNoRestore = errors.New("nothing can be restored here")

// restore answers with a bridge.Restored when the backup is in the store.
// Everything begins anew then, this socket included.
func (a *Admin) restore(ctx context.Context, p BackupPart, r reply) error {
	if a.o.Restore == nil {
		return errNoRestore
	}
	b, err := store.ReadBackup(bytes.NewReader(p.Text))
	if err != nil {
		return err
	}
	if err := a.o.Load(b); err != nil {
		return err
	}
	did, err := a.o.Restore(ctx, b)
	if err != nil {
		return err
	}
	return r(did)
}
