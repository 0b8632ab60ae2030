//go:build !small

package api

import (
	"net/http"
	"strings"

	"lorawand/bridge/admin/sharing"
)

// prefix is that of all routes.
const prefix = "/api/v3"

// route is an entry of the table.
type route struct {
	method string
	path   string // {a} is the application, {d} the device, {g} a gateway, {t} a type
	op     string // the operation of admin whose right is needed; "": everybody may
	handle func(*call) error
}

// routes is the table of all. The paths are those of
// api/ttn/lorawan/v3/*.proto (google.api.http) of The Things Stack v3.32.
var routes = []route{
	{"GET", "/auth_info", "", (*call).authInfo},
	{"GET", "/configuration/frequency-plans", "", (*call).frequencyPlans},
	{"GET", "/ns/net_id", "", (*call).netID},

	{"GET", "/applications", "", (*call).nothing},
	{"GET", "/applications/{a}", "device.list", (*call).application},
	{"GET", "/applications/{a}/rights", anyRight, (*call).rights},
	{"GET", "/as/applications/{a}/link", "device.list", (*call).nothing},
	{"GET", "/as/applications/{a}/link/stats", "device.list", (*call).linkStats},
	{"GET", "/as/applications/{a}/packages/associations", "device.list", (*call).nothing},
	{"GET", "/as/applications/{a}/devices/{d}/packages/associations", "device.list", (*call).nothing},
	{"GET", "/as/applications/{a}/mqtt-connection-info", anyRight, (*call).mqttConnection},

	{"POST", "/as/applications/{a}/devices/{d}/down/push", "downlink.push", (*call).push},
	{"POST", "/as/applications/{a}/devices/{d}/down/replace", "downlink.push", (*call).replace},
	{"POST", "/as/applications/{a}/webhooks/{w}/devices/{d}/down/push", "downlink.push", (*call).push},
	{"POST", "/as/applications/{a}/webhooks/{w}/devices/{d}/down/replace", "downlink.push", (*call).replace},
	{"GET", "/as/applications/{a}/devices/{d}/down", "downlink.list", (*call).downlinks},
	{"POST", "/as/applications/{a}/devices/{d}/up/simulate", "uplink.simulate", (*call).simulate},

	{"GET", "/as/applications/{a}/packages/storage/{t}", "message.list", (*call).storage},
	{"GET", "/as/applications/{a}/devices/{d}/packages/storage/{t}", "message.list", (*call).storage},

	{"GET", "/applications/{a}/devices", "device.list", (*call).listDevices},
	{"POST", "/applications/{a}/devices", "registry.put", (*call).createDevice},
	{"GET", "/applications/{a}/devices/{d}", "registry.get", (*call).getDevice},
	{"PUT", "/applications/{a}/devices/{d}", "registry.put", (*call).putDevice},
	{"DELETE", "/applications/{a}/devices/{d}", "registry.delete", (*call).deleteDevice},

	{"GET", "/js/applications/{a}/devices/{d}", "registry.get", (*call).getDevice},
	{"PUT", "/js/applications/{a}/devices/{d}", "registry.put", (*call).putDevice},
	{"DELETE", "/js/applications/{a}/devices/{d}", "registry.delete", (*call).deleteDevice},
	{"GET", "/ns/applications/{a}/devices/{d}", "registry.get", (*call).getDevice},
	{"PUT", "/ns/applications/{a}/devices/{d}", "registry.put", (*call).putDevice},
	{"DELETE", "/ns/applications/{a}/devices/{d}", "registry.delete", (*call).deleteDevice},
	{"GET", "/as/applications/{a}/devices/{d}", "registry.get", (*call).getDevice},
	{"PUT", "/as/applications/{a}/devices/{d}", "registry.put", (*call).putDevice},
	{"DELETE", "/as/applications/{a}/devices/{d}", "registry.delete", (*call).deleteDevice},

	{"GET", "/gs/gateways/{g}/connection/stats", "gateway.list", (*call).gatewayStats},
	{"POST", "/events", "events", (*call).events},
	{"GET", "/events", "events", (*call).source},
}

// anyRight is for what every key of the application may know.
const anyRight = "any"

// find returns the route of a request and what stands in its path. known says that the
// path has other methods.
func find(method, path string) (r *route, params map[string]string, known bool) {
	rest, ok := strings.CutPrefix(path, prefix)
	if !ok {
		return nil, nil, false
	}
	for i := range routes {
		p, ok := match(routes[i].path, rest)
		if !ok {
			continue
		}
		if routes[i].method == method {
			return &routes[i], p, true
		}
		known = true
	}
	return nil, nil, known
}

// match compares a path with that of a route.
func match(pattern, path string) (map[string]string, bool) {
	if strings.Count(pattern, "/") != strings.Count(path, "/") {
		return nil, false
	}
	params := map[string]string{}
	for pattern != "" {
		var want, got string
		want, pattern, _ = strings.Cut(pattern[1:], "/")
		got, path, _ = strings.Cut(path[1:], "/")
		if pattern != "" {
			pattern = "/" + pattern
		}
		path = "/" + path
		switch {
		case strings.HasPrefix(want, "{"):
			if got == "" {
				return nil, false
			}
			params[strings.Trim(want, "{}")] = got
		case want != got:
			return nil, false
		}
	}
	return params, true
}

// serve answers a request.
func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	ctx, end := sharing.Begin(r.Context())
	defer end()
	r = r.WithContext(ctx)
	if a.page != nil && !strings.HasPrefix(r.URL.Path, prefix+"/") {
		_ = a.requests.Pace(ctx, "", 0, 0)
		a.page.ServeHTTP(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	route, params, known := find(r.Method, r.URL.Path)
	c := &call{api: a, w: w, r: r, params: params, route: route}
	var err error
	if route != nil {
		err = c.permit()
	}
	c.share(0)
	switch {
	case err != nil:
	case route == nil && known && r.Method == http.MethodOptions:
		return // 200, and no permission for pages of other origins
	case route == nil && known:
		err = plain(codeUnimplemented, "Method Not Allowed")
	case route == nil:
		err = plain(codeNotFound, "Not Found")
	default:
		err = route.handle(c)
	}
	if err != nil {
		c.refuse(c.pace(err))
	}
}
