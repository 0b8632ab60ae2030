package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/bridge/session"
)

func newDevice() *cobra.Command {
	return group(
		"device", "Manage end devices",
		newDeviceCreate(), newDeviceImport(), newDeviceList(), newDeviceGet(), newDeviceSet(), newDeviceDelete(),
		newDeviceExport(),
	)
}

// applicationFlag adds --application.
func applicationFlag(cmd *cobra.Command, usage string) *string {
	return cmd.Flags().String("application", "", usage)
}

const applicationOfDevice = "`id` of the application of a DEVICE without one"

// checkApplication returns a usage error for an invalid application id.
func checkApplication(id string) error {
	if id == "" {
		return usage(errors.New("--application: missing"))
	}
	if err := session.CheckID(id); err != nil {
		return usage(fmt.Errorf("--application: %w", err))
	}
	return nil
}

// deviceNamed reads APPLICATION/DEVICE, or the id of a device of the given application.
func deviceNamed(application, name string) (session.ID, error) {
	app, device, both := strings.Cut(name, "/")
	if !both {
		app, device = application, name
	}
	id := session.ID{Application: app, Device: device}
	if err := session.CheckID(device); err != nil {
		return id, usage(err)
	}
	switch {
	case both && application != "" && application != app:
		return id, usage(fmt.Errorf("%s is not a device of --application %s", name, application))
	case both:
		if err := session.CheckID(app); err != nil {
			return id, usage(err)
		}
	case application == "":
		return id, usage(fmt.Errorf("--application: missing; or write APPLICATION/%s", device))
	}
	return id, checkApplication(app)
}

// devicesOfOne reads the names of devices of one application.
func devicesOfOne(application string, names []string) (app string, ids []string, err error) {
	app = application
	for _, name := range names {
		id, err := deviceNamed(application, name)
		if err != nil {
			return "", nil, err
		}
		if len(ids) > 0 && id.Application != app {
			return "", nil, usage(fmt.Errorf("%s and %v: all devices must be of one application", names[0], id))
		}
		app, ids = id.Application, append(ids, id.Device)
	}
	return app, ids, nil
}

// oneDevice accepts the name of a device as the only argument.
func oneDevice(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(fmt.Errorf("%s needs one device id", cmd.CommandPath()))
	}
	return nil
}

// someDevices accepts at least one.
func someDevices(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage(errors.New("no device id"))
	}
	return nil
}
