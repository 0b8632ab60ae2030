package enddevice

import (
	"slices"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/region"
)

// masks reads the channels that are in use, and those that are wished, of a band that lays
// all down.
func (m *macStateJSON) masks(s *macstate.State, d *session.Device) {
	plan, err := d.FrequencyPlan()
	if err != nil || !plan.FixedChannels() {
		return
	}
	is, want := m.Current.mask(plan), m.Desired.mask(plan)
	if is != nil {
		s.Masked, s.Mask, d.Session.Parameters.Channels = true, is, nil
	}
	if want == nil || is != nil && *want == *is && *want == plan.PlanMask() {
		return
	}
	w := s.Wish.Over(macstate.Wish{})
	w.Mask, w.Channels, s.Wish = want, nil, &w
	if *want == plan.PlanMask() { // no wish, but that another one is no more: the plan may change
		w.Mask = nil
	}
}

// mask returns which channels are in use; nil: nothing is told.
func (j *parametersJSON) mask(p *region.Plan) *region.ChannelMask {
	if j == nil {
		return nil
	}
	mask := macstate.MaskOf(p, func(f radio.Frequency) bool {
		return slices.ContainsFunc(j.Channels, func(c channelJSON) bool {
			return bool(c.EnableUplink) && c.UplinkFrequency.v == uint64(f)
		})
	})
	if mask == (region.ChannelMask{}) {
		return nil
	}
	return &mask
}

// tellMasks is the way back. It writes all channels, as The Things Stack does.
func (m *macStateJSON) tellMasks(d *session.Device, s *macstate.State) {
	plan, err := d.FrequencyPlan()
	if err != nil || !plan.FixedChannels() || s == nil {
		return
	}
	want := plan.PlanMask()
	if s.Wish != nil && s.Wish.Mask != nil {
		want = *s.Wish.Mask
	} else if s.Mask == nil {
		return
	}
	if s.Mask != nil && m.Current != nil {
		m.Current.Channels = fixedChannels(*s.Mask, plan)
	}
	if m.Desired != nil {
		m.Desired.Channels = fixedChannels(want, plan)
	}
}

func fixedChannels(mask region.ChannelMask, p *region.Plan) (list []channelJSON) {
	for _, c := range macstate.FixedChannels(mask, p) {
		list = append(list, channelOf(c))
	}
	return list
}
