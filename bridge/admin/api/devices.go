//go:build !small

package api

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"lorawand/bridge/admin"
	"lorawand/bridge/admin/registry"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio/region"
)

// registry is the one that a path is of.
func (c *call) registry() string {
	first, _, _ := strings.Cut(strings.TrimPrefix(c.route.path, "/"), "/")
	if _, ok := registry.Registries[first]; ok {
		return first
	}
	return "is"
}

// fields are those of an end device that a mask may begin with.
// Source: api/ttn/lorawan/v3/end_device.proto of v3.32.
var fields = strings.Fields(`
	ids created_at updated_at name description attributes version_ids service_profile_id network_server_address
	network_server_kek_label application_server_address application_server_kek_label application_server_id
	join_server_address locations picture supports_class_b supports_class_c lorawan_version lorawan_phy_version
	frequency_plan_id min_frequency max_frequency supports_join resets_join_nonces root_keys net_id mac_settings
	mac_settings_profile_ids mac_state pending_mac_state session pending_session last_dev_nonce used_dev_nonces
	last_join_nonce last_rj_count_0 last_rj_count_1 last_dev_status_received_at power_state battery_percentage
	downlink_margin queued_application_downlinks formatters provisioner_id provisioning_data multicast
	claim_authentication_code skip_payload_crypto skip_payload_crypto_override activated_at last_seen_at
	serial_number lora_alliance_profile_ids`)

// maxPaths of a mask.
const maxPaths = 128

// checkPaths returns the paths, or an error that names those that do not exist.
func checkPaths(paths []string) ([]string, error) {
	if len(paths) > maxPaths {
		return nil, plain(codeInvalidArgument, "more than "+strconv.Itoa(maxPaths)+" paths in the field mask")
	}
	var bad []string
	for _, p := range paths {
		first, _, _ := strings.Cut(p, ".")
		if !slices.Contains(fields, first) || strings.Contains(p, "..") || strings.HasSuffix(p, ".") ||
			strings.Count(p, ".") > 8 {
			bad = append(bad, p)
		}
	}
	if bad != nil {
		return nil, forbiddenPaths(bad)
	}
	return paths, nil
}

// mask returns the paths of a query: field_mask=a,b or field_mask.paths=a.
func (c *call) mask() []string {
	var out []string
	query := c.r.URL.Query()
	for _, text := range append(query["field_mask"], query["field_mask.paths"]...) {
		for p := range strings.SplitSeq(text, ",") {
			if p = strings.TrimSpace(p); p != "" {
				out = append(out, p)
			}
		}
	}
	return out
}

// fieldMask is a mask in a body: a string or an object with paths.
type fieldMask []string

// UnmarshalJSON implements json.Unmarshaler.
func (m *fieldMask) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*m = strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
		return nil
	}
	var o struct {
		Paths []string `json:"paths"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	*m = o.Paths
	return nil
}

// setRequest is the body of a request that creates or changes a device.
type setRequest struct {
	Device json.RawMessage `json:"end_device"`
	Mask   fieldMask       `json:"field_mask"`
}

// set reads the body.
func (c *call) set() (req setRequest, release func(), err error) {
	body, release, err := c.body()
	if err != nil {
		return req, release, err
	}
	if err := json.Unmarshal(body, &req); err != nil {
		return req, release, plain(codeInvalidArgument, err.Error())
	}
	if len(req.Device) == 0 {
		req.Device = json.RawMessage("{}")
	}
	_, err = checkPaths(req.Mask)
	return req, release, err
}

// createDevice registers the device of the body, which names its id.
func (c *call) createDevice() error {
	req, release, err := c.set()
	defer release()
	if err != nil {
		return err
	}
	var named struct {
		IDs struct {
			DeviceID string `json:"device_id"`
		} `json:"ids"`
	}
	if err := json.Unmarshal(req.Device, &named); err != nil {
		return plain(codeInvalidArgument, err.Error())
	}
	c.params["d"] = named.IDs.DeviceID
	if err := session.CheckID(named.IDs.DeviceID); err != nil {
		return v3.Invalid("end_device.ids.device_id", "value does not match regex pattern \"^[a-z0-9](?:[-]?[a-z0-9]){2,}$\"")
	}
	tree, err := c.put(&req, true)
	if err != nil {
		return err
	}
	for _, always := range []string{"version_ids", "lora_alliance_profile_ids"} {
		if tree[always] == nil {
			tree[always] = registry.Tree{}
		}
	}
	var paths []string
	if body, err := registry.Parse(req.Device); err == nil {
		paths = append(registry.All(body), "version_ids", "lora_alliance_profile_ids")
	}
	return c.answer(registry.Select(tree, paths))
}

// putDevice changes a device, in the registry of the path.
func (c *call) putDevice() error {
	req, release, err := c.set()
	defer release()
	if err != nil {
		return err
	}
	tree, err := c.put(&req, false)
	if err != nil {
		return err
	}
	return c.answer(registry.Select(tree, req.Mask))
}

func (c *call) put(req *setRequest, create bool) (tree registry.Tree, err error) {
	if err := req.check(create); err != nil {
		return nil, err
	}
	args := admin.RegistryPutArgs{RegistryArgs: c.registryArgs(), Create: create, Body: req.Device, Paths: req.Mask}
	err = c.do("registry.put", args, func(raw json.RawMessage) error {
		tree, err = registry.Parse(raw)
		return err
	})
	return tree, err
}

// macVersions are the names of lorawan_version.
var macVersions = strings.Fields(`MAC_UNKNOWN MAC_V1_0 MAC_V1_0_1 MAC_V1_0_2 MAC_V1_0_3 MAC_V1_0_4 MAC_V1_1`)

// attributeKey is the form of the names of attributes.
var attributeKey = regexp.MustCompile(`^[a-z0-9](?:-?[a-z0-9]){2,35}$`)

// check refuses what The Things Stack does not take and an import does.
func (r *setRequest) check(create bool) error {
	var named struct {
		Plan       string          `json:"frequency_plan_id"`
		Version    json.RawMessage `json:"lorawan_version"`
		Attributes map[string]any  `json:"attributes"`
	}
	if err := json.Unmarshal(r.Device, &named); err != nil {
		return plain(codeInvalidArgument, err.Error())
	}
	var version string
	if json.Unmarshal(named.Version, &version) == nil && version != "" && !slices.Contains(macVersions, version) {
		return plain(codeInvalidArgument, fmt.Sprintf("unmarshal error at path \"end_device\": unknown value for enum: %q", version))
	}
	for name := range named.Attributes {
		if !attributeKey.MatchString(name) {
			return v3.Invalid("end_device.attributes", "keys have 3 to 36 lower-case letters, digits and single inner dashes")
		}
	}
	if named.Plan == "" || !create && !slices.Contains(r.Mask, "frequency_plan_id") {
		return nil
	}
	if _, err := region.Lookup(named.Plan); err != nil {
		return noPlan(named.Plan)
	}
	return nil
}

func (c *call) registryArgs() admin.RegistryArgs {
	return admin.RegistryArgs{DeviceArgs: c.device(), Registry: c.registry()}
}

// getDevice answers with the fields of the mask. Keys are for who has all rights.
func (c *call) getDevice() error {
	paths, err := checkPaths(c.mask())
	if err != nil {
		return err
	}
	op := "registry.get"
	if need, _ := admin.RightOf("registry.keys"); slices.ContainsFunc(paths, holdsKeys) && c.who.Rights.Has(need.Rights) {
		op = "registry.keys"
	} else if slices.ContainsFunc(paths, onlyKeys) {
		return admin.ErrRights
	}
	return c.do(op, c.registryArgs(), func(raw json.RawMessage) error {
		tree, err := registry.Parse(raw)
		if err != nil {
			return err
		}
		if tree["version_ids"] == nil && c.registry() == "is" {
			tree["version_ids"] = registry.Tree{}
		}
		return c.answer(registry.Select(tree, paths))
	})
}

func onlyKeys(path string) bool {
	return path == "root_keys" || strings.HasPrefix(path, "root_keys.") || strings.HasPrefix(path, "session.keys")
}

func holdsKeys(path string) bool { return onlyKeys(path) || path == "session" }

func (c *call) deleteDevice() error {
	if err := c.do("registry.delete", c.registryArgs(), func(json.RawMessage) error { return nil }); err != nil {
		return err
	}
	return c.nothing()
}

// maxPage is how many devices a page has at most, and if its limit is not told.
const maxPage = 1000

// listDevices answers with a page of the devices of the application.
func (c *call) listDevices() error {
	paths, err := checkPaths(c.mask())
	if err != nil {
		return err
	}
	query := c.r.URL.Query()
	limit, page, err := pageOf(query.Get("limit"), query.Get("page"))
	if err != nil {
		return err
	}
	order := query.Get("order")
	if order != "" && order != "device_id" && order != "-device_id" {
		return plain(codeInvalidArgument, "order: only by device_id or -device_id")
	}
	counts, err := c.api.o.Bridge.Applications(c.r.Context())
	if err != nil {
		return err
	}
	total := counts[c.params["a"]]
	from, to := min((page-1)*limit, total), min(page*limit, total)
	if order == "-device_id" {
		from, to = total-to, total-from
	}
	devices, err := c.devices(paths, from, to)
	if err != nil {
		return err
	}
	if order == "-device_id" {
		slices.Reverse(devices)
	}
	c.w.Header().Set("X-Total-Count", strconv.Itoa(total))
	if len(devices) == 0 {
		return c.nothing()
	}
	c.answerList("end_devices", devices)
	return nil
}

// devices returns the devices from one place to another in the order of their ids, with
// the fields of the mask.
func (c *call) devices(paths []string, from, to int) (out []json.RawMessage, err error) {
	n := -1
	err = c.do("device.list", admin.ListArgs{Application: c.params["a"]}, func(raw json.RawMessage) error {
		if n++; n < from || n >= to {
			return nil
		}
		tree, err := registry.Parse(raw)
		if err != nil {
			return err
		}
		selected, err := json.Marshal(registry.Select(tree, paths))
		out = append(out, selected)
		return err
	})
	return out, err
}

// pageOf reads the limit and the number of a page, from 1.
func pageOf(limitText, pageText string) (limit, page int, err error) {
	limit, page = maxPage, 1
	if limitText != "" {
		if limit, err = strconv.Atoi(limitText); err != nil || limit < 0 || limit > maxPage {
			return 0, 0, v3.Invalid("limit", "value must be less than or equal to "+strconv.Itoa(maxPage))
		}
	}
	if pageText != "" {
		if page, err = strconv.Atoi(pageText); err != nil || page < 0 || page > 1_000_000 {
			return 0, 0, plain(codeInvalidArgument, "page: a number from 1")
		}
	}
	if limit == 0 {
		limit = maxPage
	}
	return limit, max(page, 1), nil
}
