package main

import (
	"errors"
	"fmt"

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

const applicationRequired = "`id` of the application (required)"

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

// oneDevice accepts the id of a device as the only argument.
func oneDevice(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(fmt.Errorf("%s needs one device id", cmd.CommandPath()))
	}
	return checkDevices(args)
}

// someDevices accepts at least one device id.
func someDevices(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage(errors.New("no device id"))
	}
	return checkDevices(args)
}

func checkDevices(ids []string) error {
	for _, id := range ids {
		if err := session.CheckID(id); err != nil {
			return usage(err)
		}
	}
	return nil
}
