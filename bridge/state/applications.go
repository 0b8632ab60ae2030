package state

import (
	"fmt"

	"lorawand/bridge/access"
	"lorawand/bridge/codec"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
)

// ApplicationRecord returns the record of an application's settings.
func ApplicationRecord(a access.Application) (store.Record, error) {
	b, err := access.MarshalApplication(a)
	if err != nil {
		return store.Record{}, fmt.Errorf("bridge: application %s: %w", a.ID, err)
	}
	return store.Record{Kind: KindApplication, Key: a.ID, Version: recordVersion, Data: b}, nil
}

func loadApplications(s records) (*access.Applications, error) {
	out := access.NewApplications()
	for _, r := range s.Records(KindApplication) {
		a, err := access.UnmarshalApplication(r.Data)
		switch {
		case err != nil:
		case r.Version != recordVersion:
			err = fmt.Errorf("version %d", r.Version)
		case a.ID != r.Key:
			err = fmt.Errorf("its value has the id %.60q", a.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: application %s: %w", ErrState, r.Key, err)
		}
		out.Put(a)
	}
	return out, nil
}

// CodecRecords returns the records of models and codecs.
func CodecRecords(models []*codec.Model, codecs []*codec.Codec) ([]store.Record, error) {
	var out []store.Record
	for _, m := range models {
		b, err := m.Marshal()
		if err != nil {
			return nil, fmt.Errorf("bridge: model %s: %w", m.Key(), err)
		}
		out = append(out, store.Record{Kind: KindModel, Key: m.Key(), Version: recordVersion, Data: b})
	}
	for _, c := range codecs {
		b, err := c.Marshal()
		if err != nil {
			return nil, fmt.Errorf("bridge: codec %s: %w", c.Key(), err)
		}
		out = append(out, store.Record{Kind: KindCodec, Key: c.Key(), Version: recordVersion, Data: b})
	}
	return out, nil
}

// loadCodecs reads models and codecs. It also reads more of them than an import may
// add.
func loadCodecs(s records) (*codec.Library, error) {
	l := codec.NewLibrary()
	for _, r := range s.Records(KindModel) {
		m, err := codec.UnmarshalModel(r.Data)
		if err == nil && (m.Key() != r.Key || r.Version != recordVersion) {
			err = fmt.Errorf("it says that it is %s, version %d", m.Key(), r.Version)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: model %s: %w", ErrState, r.Key, err)
		}
		l.Put([]*codec.Model{m}, nil)
	}
	for _, r := range s.Records(KindCodec) {
		c, err := codec.UnmarshalCodec(r.Data)
		if err == nil && (c.Key() != r.Key || r.Version != recordVersion) {
			err = fmt.Errorf("it says that it is %s, version %d", c.Key(), r.Version)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: codec %s: %w", ErrState, r.Key, err)
		}
		l.Put(nil, []*codec.Codec{c})
	}
	return l, nil
}

// ShareScripts makes devices with equal scripts share the memory of one script.
func ShareScripts(devices ...*session.Device) {
	known := map[string]string{}
	share := func(s *string) {
		if first, ok := known[*s]; ok {
			*s = first
		} else {
			known[*s] = *s
		}
	}
	for _, d := range devices {
		share(&d.Formatters.UpParameter)
		share(&d.Formatters.DownParameter)
	}
}
